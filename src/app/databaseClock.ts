import type { Clock } from '../clock.ts'
import type { Deps } from '../domain/deps.ts'

/**
 * The time of the database, for everything that is stored in it: replicas with different clocks
 * agree on it (docs/decisions/0019). Advances monotonically between two readings.
 */
export interface DatabaseClock {
  /** Returns the time of this machine until the first reading. */
  readonly now: Clock
  /**
   * Reads the time of the database, in milliseconds since the epoch. Returns by how much this
   * machine's clock is ahead of it.
   */
  synchronize(readTime: () => Promise<number>): Promise<number>
}

/**
 * Milliseconds below which a difference is kept: a reading takes time, and time must not jitter.
 */
const tolerance = 1000

export function createDatabaseClock(wallClock: Clock, monotonicClock: Clock): DatabaseClock {
  let offset = wallClock() - monotonicClock()
  return {
    now: () => offset + monotonicClock(),
    synchronize: async (readTime) => {
      const askedAt = monotonicClock()
      const time = await readTime()
      const roundTrip = monotonicClock() - askedAt
      const measured = time - askedAt - roundTrip / 2
      if (Math.abs(measured - offset) > tolerance + roundTrip) offset = measured
      return wallClock() - monotonicClock() - measured
    },
  }
}

/** Milliseconds by which a machine's clock may differ without a warning. Tokens allow no more. */
const acceptedDifference = 5000

/** Returns a function that synchronizes the clock, and reports a machine whose clock is wrong. */
export function createSynchronization(
  clock: DatabaseClock,
  { database, log }: Pick<Deps, 'database' | 'log'>,
): () => Promise<void> {
  let isReported = false
  return async () => {
    const ahead = await clock.synchronize(database.instance.readTime)
    const differs = Math.abs(ahead) > acceptedDifference
    if (differs && !isReported)
      log.warn('clock.differs', {
        seconds: Math.round(ahead / 1000),
        detail:
          "this machine's clock differs from PostgreSQL's by this many seconds; tokens may be rejected: synchronize both, for example with chrony",
      })
    isReported = differs
  }
}

/** Milliseconds between two readings. */
const interval = 5000

/** Reads the time of the database every few seconds. Returns a function that stops it. */
export function keepSynchronized(synchronize: () => Promise<void>): () => void {
  // Without the database, the clock continues by itself.
  const timer = setInterval(() => synchronize().catch(() => {}), interval)
  return () => clearInterval(timer)
}
