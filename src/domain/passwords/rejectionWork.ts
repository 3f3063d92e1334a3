import type { Clock } from '../../clock.ts'
import type { Database } from '../../db/database.ts'
import type { HashWork } from '../hashes/hashWork.ts'
import { type Argon2Verifier, newHashWork } from './argon2.ts'
import type { HashCost } from './hashCost.ts'
import { readHash } from './readHash.ts'

/**
 * What every rejected sign-in computes, so that its response time does not reveal whether its user exists: of each kind of
 * work, as much as the costliest hash of that kind among the users, and a new hash.
 */
export interface RejectionWork {
  /**
   * One entry per kind, that of a new hash last: the order in which users with other hashes do it. Before the first reading,
   * only that of noticed hashes and a new one.
   */
  all(): readonly HashWork[]
  /** Counts a hash from now on: another program may have stored it. */
  notice(hash: string | undefined): void
  /** Counts exactly the hashes that `read` returns, and those noticed before it ends. */
  reread(read: () => AsyncIterable<readonly string[]>): Promise<void>
}

/** Kinds besides that of a new hash. Of more, as many of the costliest: imported users could have thousands. */
const maximumKinds = 6

/** Hashes that need more than `memory` bytes are not verified, and so are no work. */
export function createRejectionWork(
  argon2: () => Argon2Verifier,
  newHashCost: HashCost,
  memory = Number.POSITIVE_INFINITY,
): RejectionWork {
  type Kinds = Map<string, HashWork>
  let known: Kinds = new Map()
  let noticed: Kinds = new Map()
  const newHash = () => newHashWork(newHashCost, argon2())
  const othersOf = (kinds: Kinds) => [...kinds.values()].filter(({ kind }) => kind !== newHash().kind)
  const add = (kinds: Kinds, work: HashWork) => {
    if (work.amount <= (kinds.get(work.kind)?.amount ?? 0)) return
    kinds.set(work.kind, work)
    const byCost = othersOf(kinds).sort((a, b) => b.share - a.share)
    for (const { kind } of byCost.slice(maximumKinds)) kinds.delete(kind)
  }
  const notice = (hash: string) => {
    const read = readHash(hash, argon2())
    if (!read || (read.memory ?? 0) > memory) return
    add(known, read.work)
    add(noticed, read.work)
  }
  return {
    all: () => {
      const stored = known.get(newHash().kind)
      const isCostlier = stored !== undefined && stored.amount > newHash().amount
      return [...othersOf(known), isCostlier ? stored : newHash()]
    },
    notice: (hash) => {
      if (hash !== undefined) notice(hash)
    },
    reread: async (read) => {
      noticed = new Map()
      for await (const hashes of read()) for (const hash of hashes) notice(hash)
      known = noticed
    },
  }
}

/** Users per query: few enough not to keep other statements waiting. */
const pageSize = 1000
/** Milliseconds between two queries. */
const pause = 20
/** The share of the time that the database may spend on it: with many users it is read less often. */
const shareOfTime = 0.01

interface Reading {
  readonly users: Pick<Database['users'], 'sampleHashes'>
  readonly monotonicClock: Clock
  readonly rejectionWork: RejectionWork
}

/**
 * Returns a function that reads the hashes of all users, unless it still does, or the last reading
 * took more than its share of the time since. Until `isEnding`.
 */
export function createRejectionWorkReader(
  { users, monotonicClock, rejectionWork }: Reading,
  isEnding: () => boolean,
): () => Promise<void> {
  let spent = 0
  let dueAt = Number.NEGATIVE_INFINITY
  let isReading = false

  async function* pages() {
    for (let after: string | undefined; !isEnding(); ) {
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
