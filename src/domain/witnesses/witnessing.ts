import type { Clock } from '../../clock.ts'
import type { StoredWitness } from '../../db/audit/witnesses.ts'
import type { Database } from '../../db/database.ts'
import type { Log } from '../../telemetry/log.ts'
import type { AuditKeys } from '../audit/auditKeys.ts'
import type { SignedHead } from '../audit/head.ts'
import { splitNote } from '../transparency/signedNote.ts'
import { type CosignatureLine, type WitnessResponse, withCosignatures } from './addCheckpoint.ts'
import type { Policy, Witness } from './policy.ts'
import { newestWithQuorum } from './quorum.ts'
import { submitCheckpoint } from './submission.ts'
import { findTarget, type Target } from './target.ts'
import { createWitnessBook, nameOf, type WitnessState } from './witnessBook.ts'

/**
 * Sends checkpoints to the witnesses of a policy, and keeps their cosignatures. One per process.
 */
export interface Witnessing {
  /** Sends the checkpoint of this minute to each witness that lacks it. */
  run(): Promise<void>
  state(): WitnessingState
}

export interface WitnessingState {
  readonly witnesses: readonly WitnessState[]
  /** Records below the newest checkpoint that meets the quorum. Undefined before the first run. */
  readonly published: number | undefined
  /** When the first checkpoint above it was made, in milliseconds since the epoch. */
  readonly unpublishedSince: number | undefined
}

export interface WitnessingDeps {
  readonly database: Pick<Database, 'audit'>
  readonly keys: AuditKeys
  readonly clock: Clock
  readonly log: Log
  readonly policy: Policy
  readonly signedHead: () => SignedHead | undefined
  /** Throws AppError for no response, or one beyond the bounds. */
  readonly post: (url: string, body: string) => Promise<WitnessResponse>
}

/** Milliseconds. */
const minute = 60_000
/** After this, a witness cosigns the same checkpoint again, to state that there is no other. */
const longestSilence = 24 * 60 * minute
/** Seconds. A failed witness is free for the next minute, from whichever replica. */
const claimTime = 50

/** Witnesses with one URL get one request. */
interface Group {
  readonly url: string
  readonly witnesses: readonly Witness[]
}

export function createWitnessing(deps: WitnessingDeps): Witnessing {
  const { database, keys, clock, log, policy, signedHead } = deps
  const groups = groupsOf(policy)
  const book = createWitnessBook(policy, log)
  let published: Pick<WitnessingState, 'published' | 'unpublishedSince'> = {
    published: undefined,
    unpublishedSince: undefined,
  }
  /** The head and the hour in which there was nothing left to do. */
  let settled: { readonly size: number; readonly until: number } | undefined

  async function run(): Promise<void> {
    const head = signedHead()
    if (!head || (settled?.size === head.size && clock() < settled.until)) return
    const target = await findTarget(deps, head)
    if (target) {
      const known = await readWitnesses()
      const due = groups.filter((group) =>
        group.witnesses.some(({ key }) => isDue(known.get(nameOf(key)), target.size)),
      )
      // One that hangs holds up no other.
      await Promise.all(due.map((group) => send(group, target, known)))
    }
    await readState(head)
  }

  async function readWitnesses(): Promise<Map<string, StoredWitness>> {
    const known = new Map((await database.audit.listWitnesses()).map((witness) => [witness.name, witness]))
    for (const { key } of policy.witnesses) {
      const at = known.get(nameOf(key))?.cosignedAt
      if (at) book.cosigned(key, at.getTime())
    }
    return known
  }

  function isDue(known: StoredWitness | undefined, size: number): boolean {
    return !known?.cosignedAt || known.size < size || clock() - known.cosignedAt.getTime() >= longestSilence
  }

  async function send({ url, witnesses }: Group, target: Target, known: ReadonlyMap<string, StoredWitness>) {
    const witnessKeys = witnesses.map(({ key }) => key)
    const [first] = witnessKeys.map(nameOf)
    if (first === undefined || !(await database.audit.claimWitness(first, claimTime))) return
    const old = known.get(first)?.size ?? 0
    const result = await submitCheckpoint(deps, { url, keys: witnessKeys, target, old })
    if ('cosignatures' in result) await accept(witnesses, target, result.cosignatures)
    else if ('failure' in result) book.failed(witnesses, result, target.note)
    else await database.audit.setWitness(first, result.size, undefined)
  }

  async function accept(witnesses: readonly Witness[], { size, note }: Target, lines: readonly CosignatureLine[]) {
    const text = splitNote(note)?.text
    await database.audit.cosign(size, new Date(clock()), (stored) =>
      splitNote(stored)?.text === text ? withCosignatures(stored, lines) : undefined,
    )
    for (const { key } of lines) {
      await database.audit.setWitness(nameOf(key), size, new Date(clock()))
      book.cosigned(key, clock())
    }
    const isCosigner = ({ key }: Witness) => lines.some((line) => line.key === key)
    for (const witness of witnesses.filter(isCosigner)) book.succeeded(witness)
    const silent = witnesses.filter((witness) => !isCosigner(witness))
    if (silent.length > 0) book.failed(silent, { failure: 'not_cosigned' }, note)
  }

  async function readState(head: SignedHead): Promise<void> {
    const newest = await newestWithQuorum(database, policy, keys, head.origin)
    const size = newest?.size ?? 0
    const since = await database.audit.firstCheckpointAfter(size)
    published = { published: size, unpublishedSince: since?.getTime() }
    const witnesses = await readWitnesses()
    const all = policy.witnesses.filter(({ url }) => url !== undefined).map(({ key }) => witnesses.get(nameOf(key)))
    if (since === undefined && all.every((witness) => !isDue(witness, head.size)))
      settled = { size: head.size, until: clock() + 60 * minute }
  }

  return { run, state: () => ({ ...published, witnesses: book.state() }) }
}

function groupsOf({ witnesses }: Policy): readonly Group[] {
  const byUrl = Map.groupBy(witnesses, ({ url }) => url)
  return [...byUrl].flatMap(([url, inside]) => (url === undefined ? [] : [{ url, witnesses: inside }]))
}
