import type { Clock } from '../../clock.ts'
import type { Database } from '../../db/database.ts'
import type { Argon2Verifier } from './argon2.ts'
import { readHash } from './readHash.ts'

/**
 * The costliest hash among the users, which every rejected sign-in has to equal: a costly hash would
 * otherwise reveal that its user exists.
 */
export interface CostliestHash {
  /** Its `share`; 0 before the first reading. */
  share(): number
  /** Counts a hash from now on, if it is costlier: another program may have stored it. */
  notice(hash: string | undefined): void
  /** Counts exactly the hashes that `read` returns, and those noticed before it ends. */
  reread(read: () => AsyncIterable<readonly string[]>): Promise<void>
}

/** Hashes that need more than `memory` bytes are not verified, and so cost nothing. */
export function createCostliestHash(argon2: () => Argon2Verifier, memory = Number.POSITIVE_INFINITY): CostliestHash {
  let known = 0
  let noticed = 0
  const shareOf = (hash: string) => {
    const read = readHash(hash, argon2())
    return read && (read.memory ?? 0) <= memory ? read.share : 0
  }
  const notice = (hash: string) => {
    const share = shareOf(hash)
    known = Math.max(known, share)
    noticed = Math.max(noticed, share)
  }
  return {
    share: () => known,
    notice: (hash) => {
      if (hash !== undefined) notice(hash)
    },
    reread: async (read) => {
      noticed = 0
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
  readonly costliestHash: CostliestHash
}

/**
 * Returns a function that reads the costliest hash among the users, unless it still does, or the last
 * reading took more than its share of the time since. Until `isEnding`.
 */
export function createCostliestHashReader(
  { users, monotonicClock, costliestHash }: Reading,
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
      await costliestHash.reread(pages)
    } finally {
      isReading = false
      dueAt = monotonicClock() + spent / shareOfTime
    }
  }
}
