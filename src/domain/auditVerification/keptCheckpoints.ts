import { AppError } from '../../error.ts'
import { describeError } from '../../telemetry/log.ts'
import { namesOf } from '../audit/restored.ts'
import type { KeptCheckpoint } from '../witnesses/keptNotes.ts'
import type { Find } from './findings.ts'

/** Reads the checkpoints of AUDIT_CHECKPOINT_FILE. Undefined: it is not set. */
export type ReadKept = (() => AsyncIterable<KeptCheckpoint>) | undefined

/**
 * Compares the tree that the records make with checkpoints that were kept outside of the database.
 */
export interface KeptCheck {
  /** The tree has this size now. */
  grown(size: number, root: () => Buffer): void
  /** A log of the name `from` was accepted at a size. */
  restored(from: unknown, size: unknown): void
  finish(size: number): void
  /** Adds what it could rule out, and what not. */
  notes(): readonly string[]
}

interface Kept {
  readonly origin: string
  readonly size: number
  /** In base64. */
  readonly root: string
}

/**
 * Reads the file before the log, which therefore has at least the size of each checkpoint. Those
 * below the size `start` are not compared.
 */
export async function checkKept(readKept: ReadKept, origin: string, start: number, find: Find): Promise<KeptCheck> {
  const bySize = new Map<number, Kept[]>()
  const names = namesOf(origin)
  let [count, newest, foreign] = [0, 0, 0]
  let failure: string | undefined
  try {
    for await (const kept of readKept?.() ?? []) {
      count++
      const isOwn = names.includes(kept.origin)
      if (!isOwn) foreign++
      else if (kept.size >= start) add({ origin: kept.origin, size: kept.size, root: kept.root.toString('base64') })
      if (kept.origin === origin) newest = Math.max(newest, kept.size)
    }
  } catch (error) {
    failure = error instanceof AppError ? error.message : String(describeError(error).code ?? 'read error')
  }

  function add(kept: Kept): void {
    const known = bySize.get(kept.size) ?? []
    if (!known.some(({ origin, root }) => origin === kept.origin && root === kept.root))
      bySize.set(kept.size, [...known, kept])
  }

  const contradicted: Kept[] = []
  const endings = new Map<string, number>()
  let lost = 0

  return {
    grown: (size, root) => {
      const there = bySize.get(size)
      if (!there) return
      bySize.delete(size)
      const own = root().toString('base64')
      contradicted.push(...there.filter((kept) => kept.root !== own))
    },
    restored: (from, size) => {
      if (typeof from === 'string') endings.set(from, Number(size))
    },
    finish: (size) => {
      // A former name ended with a restore that was accepted, which lost what was above it.
      const isLost = (kept: Kept) =>
        kept.origin !== origin && kept.size > (endings.get(kept.origin) ?? Number.MAX_SAFE_INTEGER)
      const beyond = [...bySize.values()].flat().filter((kept) => kept.size > size)
      lost = [...contradicted, ...beyond].filter(isLost).length
      const [first] = contradicted.filter((kept) => !isLost(kept))
      if (first)
        find(`the records below ${first.size} are not the ones of the checkpoint of that size in AUDIT_CHECKPOINT_FILE`)
      const missing = beyond.filter((kept) => !isLost(kept)).map((kept) => kept.size)
      if (missing.length > 0)
        find(
          `the log ends at ${size}, but AUDIT_CHECKPOINT_FILE has a checkpoint of size ${Math.max(...missing)}: its end was removed, or an older copy was restored`,
        )
      if (foreign > 0) find(`AUDIT_CHECKPOINT_FILE has ${counted(foreign)} of a log with another name`)
    },
    notes: () => [
      ...(lost > 0 ? [`a restore that was accepted has lost ${counted(lost)} in AUDIT_CHECKPOINT_FILE`] : []),
      ...(failure === undefined ? [] : [`AUDIT_CHECKPOINT_FILE could not be read (${failure})`]),
      notRuledOut(failure === undefined ? count : 0, newest),
    ],
  }
}

function notRuledOut(count: number, newest: number): string {
  const actions =
    'a tail that was cut while every server was stopped, an older copy that was restored then, and a rewrite with SECRET_KEY'
  if (count === 0) return `not ruled out, because nothing outside of the database was given: ${actions}`
  return `the log was compared with ${counted(count)} of AUDIT_CHECKPOINT_FILE; not ruled out above ${newest}, the newest: ${actions}`
}

function counted(count: number): string {
  return `${count.toLocaleString('en')} ${count === 1 ? 'checkpoint' : 'checkpoints'}`
}
