import type { Clock } from '../../clock.ts'
import type { Anchor, SignedHead } from '../../domain/audit/head.ts'
import { atMostEvery, reportInterval } from '../../domain/audit/pendingEvents.ts'
import { readKeptNotes } from '../../domain/witnesses/keptNotes.ts'
import { AppError } from '../../error.ts'
import { appendedFile, linesOf, readEndOf } from '../../system/appendedFile.ts'
import { describeError, type Log } from '../../telemetry/log.ts'

/**
 * Keeps heads of the audit log outside of the database: in the log on standard output, and in
 * AUDIT_CHECKPOINT_FILE. A sign-in never waits for it.
 */
export interface Anchors {
  /** Returns the last head in the file, for `followHead`. */
  readonly readAnchor: (() => Promise<Anchor | 'none' | undefined>) | undefined
  /** Keeps the head now and then, if there is another. Returns a function that keeps the last. */
  start(signedHead: () => SignedHead | undefined): () => Promise<void>
  state(): AnchorState
}

export interface AnchorState {
  /**
   * The records that the last head in the file covers. Undefined without a file, or before the
   * first.
   */
  readonly size: number | undefined
  /** Since when the file lacks a head that it should have, on the monotonic clock. */
  readonly lateSince: number | undefined
}

interface AnchorDeps {
  readonly log: Log
  readonly monotonicClock: Clock
}

/** Milliseconds. */
const checkInterval = 5000
const keepInterval = 60_000
/** Several hundred notes. */
const readLength = 65_536

export function createAnchors(path: string | undefined, { log, monotonicClock }: AnchorDeps): Anchors {
  const isFailureDue = atMostEvery(reportInterval, monotonicClock)
  const file = path === undefined ? undefined : appendedFile(path)
  let state: AnchorState = { size: undefined, lateSince: undefined }
  /** The last head in the file. */
  let last: Position | undefined

  const reportFailure = (error: unknown, detail: string) => {
    if (!isFailureDue()) return
    const described = error instanceof AppError ? { message: error.message } : describeError(error)
    log.error('audit.checkpoint_file_failed', { ...described, detail })
  }

  async function readAnchor(from: string): Promise<Anchor | 'none' | undefined> {
    try {
      const end = await readEndOf(from, readLength)
      let anchor: Anchor | 'none' = 'none'
      for await (const kept of readKeptNotes(String(end ?? '').split('\n'))) {
        anchor = kept
        last = kept
        state = { ...state, size: kept.size }
      }
      return anchor
    } catch (error) {
      reportFailure(error, 'AUDIT_CHECKPOINT_FILE cannot be read, so an older audit log would not be noticed')
      return undefined
    }
  }

  async function append({ origin, size, note }: SignedHead): Promise<void> {
    if (!file || (isSame(last, { origin, size }) && !(await file.isMoved()))) return
    // Set before: a write to a disk that is gone may never return.
    state = { ...state, lateSince: state.lateSince ?? monotonicClock() }
    try {
      await file.append(`${note}\n`)
      last = { origin, size }
      state = { size, lateSince: undefined }
    } catch (error) {
      reportFailure(error, 'AUDIT_CHECKPOINT_FILE cannot be written; the server goes on, and tries again')
    }
  }

  function start(signedHead: () => SignedHead | undefined): () => Promise<void> {
    let logged: { readonly head: SignedHead; readonly at: number } | undefined
    let running: Promise<void> | undefined
    const keep = async () => {
      const head = signedHead()
      if (!head) return
      if (!isSame(logged?.head, head)) {
        logged = { head, at: monotonicClock() }
        log.info('audit.checkpoint', { size: head.size, note: head.note })
      }
      await append(head)
    }
    const timer = setInterval(() => {
      const isDue = !logged || state.lateSince !== undefined || monotonicClock() - logged.at >= keepInterval
      if (isDue)
        running ??= keep().finally(() => {
          running = undefined
        })
    }, checkInterval)
    return async () => {
      clearInterval(timer)
      await running
      await keep()
      await file?.close().catch(() => {})
    }
  }

  return { readAnchor: path === undefined ? undefined : () => readAnchor(path), state: () => state, start }
}

/** Returns what reads the checkpoints of a file, the first ones first. */
export function keptCheckpointsOf(path: string | undefined) {
  return path === undefined ? undefined : () => readKeptNotes(linesOf(path))
}

type Position = Pick<SignedHead, 'origin' | 'size'>

function isSame(one: Position | undefined, other: Position): boolean {
  return one?.size === other.size && one.origin === other.origin
}
