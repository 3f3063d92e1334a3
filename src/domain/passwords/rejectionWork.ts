import type { Clock } from '../../clock.ts'
import type { Database } from '../../db/database.ts'
import type { HashWork } from '../hashes/hashWork.ts'
import { type Argon2Verifier, newHashWork } from './argon2.ts'
import type { HashCost } from './hashCost.ts'
import { readHash } from './readHash.ts'

/**
 * What every rejected sign-in computes, so that its time reveals nothing about the user: a new
 * hash, and for each kind of stored hash as much as the costliest of that kind.
 */
export interface RejectionWork {
  /**
   * One entry per kind. That of a new hash is last, because a user with another hash computes that
   * first. Before the first reading, only noticed hashes and a new one.
   */
  required(): readonly HashWork[]
  /**
   * Frees the memory that a hash keeps, if rejections compute other kinds too, or if a slot has too
   * little for a rejection beside it. Blocks the main thread for about 12 ms.
   */
  free(computed: HashWork): void
  /** Counts a hash from now on: another program may have stored it. */
  notice(hash: string | undefined): void
  /** Counts exactly the hashes that `read` returns, and those noticed before it ends. */
  reread(read: () => AsyncIterable<readonly string[]>): Promise<void>
}

/**
 * How many kinds count besides a new hash, the costliest first: imported users could have
 * thousands.
 */
const maximumKinds = 6
/** The limit of their `share` together: that of the costliest hash that is verified at all. */
const maximumShare = 42

/** Ignores hashes that need more than `memory` bytes: they are never verified. */
export function createRejectionWork(
  argon2: () => Argon2Verifier,
  newHashCost: HashCost,
  memory = Number.POSITIVE_INFINITY,
): RejectionWork {
  type Kinds = Map<string, HashWork>
  let current: Kinds = new Map()
  let next: Kinds = new Map()
  const newHash = () => newHashWork(newHashCost, argon2())
  const othersOf = (kinds: Kinds) => [...kinds.values()].filter(({ kind }) => kind !== newHash().kind)
  const add = (kinds: Kinds, work: HashWork) => {
    if (work.amount <= (kinds.get(work.kind)?.amount ?? 0)) return
    kinds.set(work.kind, work)
    let sum = 0
    let kept = 0
    for (const { kind, share } of othersOf(kinds).sort((a, b) => b.share - a.share)) {
      if (kept >= maximumKinds || sum + share > maximumShare) kinds.delete(kind)
      else {
        sum += share
        kept++
      }
    }
  }
  const count = (hash: string) => {
    const read = readHash(hash, argon2())
    if (!read || read.work.memory > memory) return
    add(current, read.work)
    add(next, read.work)
  }
  const required = () => [...othersOf(current), newHash()]
  const mustFree = (computed: HashWork) => {
    const works = required()
    const others = works.filter(({ kind }) => kind !== computed.kind)
    // A hash that reuses memory is faster. Beside other kinds, only some rejections would have one.
    if (others.length < works.length) return others.length > 0
    const kept = [...others, computed].reduce((sum, work) => sum + (work.isKept ? work.memory : 0), 0)
    return kept + Math.max(0, ...others.map((work) => (work.isKept ? 0 : work.memory))) > memory
  }
  return {
    required,
    free: (computed) => {
      if (computed.isKept && mustFree(computed)) Bun.gc(true)
    },
    notice: (hash) => {
      if (hash !== undefined) count(hash)
    },
    reread: async (read) => {
      next = new Map()
      for await (const hashes of read()) for (const hash of hashes) count(hash)
      current = next
    },
  }
}

/** Users per query: few enough not to keep other statements waiting. */
const pageSize = 1000
/** Milliseconds between two queries. */
const pause = 20
/**
 * The share of the time that the database may spend on it: with many users it is read less often.
 */
const shareOfTime = 0.01

/**
 * Notices the hashes of the first thousand users by id, which are often all users. A server calls
 * it before it is ready.
 */
export async function noticeFirstHashes({
  database,
  rejectionWork,
}: {
  readonly database: { readonly users: Pick<Database['users'], 'sampleHashes'> }
  readonly rejectionWork: RejectionWork
}): Promise<void> {
  const { hashes } = await database.users.sampleHashes(undefined, pageSize)
  for (const hash of hashes) rejectionWork.notice(hash)
}

interface Reading {
  readonly users: Pick<Database['users'], 'sampleHashes'>
  readonly monotonicClock: Clock
  readonly rejectionWork: RejectionWork
}

/**
 * Returns a function that reads the hashes of all users. It does nothing during a reading, and
 * until the last one has taken at most its share of the time. Throws once `isEnding`.
 */
export function createRejectionWorkReader(
  { users, monotonicClock, rejectionWork }: Reading,
  isEnding: () => boolean,
): () => Promise<void> {
  let spent = 0
  let dueAt = Number.NEGATIVE_INFINITY
  let isReading = false

  async function* pages() {
    for (let after: string | undefined; ; ) {
      if (isEnding()) throw new Error('The server is stopping.')
      const started = monotonicClock()
      const { hashes, next } = await users.sampleHashes(after, pageSize).finally(() => {
        spent += monotonicClock() - started
      })
      yield hashes
      if (next === undefined) break
      after = next
      await Bun.sleep(pause)
    }
  }

  return async () => {
    if (isReading || monotonicClock() < dueAt) return
    isReading = true
    spent = 0
    try {
      await rejectionWork.reread(pages)
    } finally {
      isReading = false
      dueAt = monotonicClock() + spent / shareOfTime
    }
  }
}
