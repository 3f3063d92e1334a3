import type { Deps } from '../deps.ts'

/** Rows deleted by one statement: few enough not to block other statements. */
const batch = 1000
/** Milliseconds between two batches. */
const pause = 50

/**
 * Deletes ended sessions in batches until none is left or `isEnding`. Returns how many. Replicas
 * may do so at the same time: each skips rows that another has locked.
 */
export function sweepExpiredSessions(
  { database, clock, metrics }: Pick<Deps, 'database' | 'clock' | 'metrics'>,
  isEnding: () => boolean,
): Promise<number> {
  return sweep(
    (limit) => database.sessions.deleteEndedSessions(new Date(clock()), limit),
    metrics.sessionsSwept,
    isEnding,
  )
}

/** Deletes expired sign-in failures in the same way. */
export function sweepExpiredFailures(
  { database, clock, metrics }: Pick<Deps, 'database' | 'clock' | 'metrics'>,
  isEnding: () => boolean,
): Promise<number> {
  return sweep(
    (limit) => database.throttle.deleteExpiredFailures(new Date(clock()), limit),
    metrics.failuresSwept,
    isEnding,
  )
}

async function sweep(
  deleteSome: (limit: number) => Promise<number>,
  count: (deleted: number) => void,
  isEnding: () => boolean,
): Promise<number> {
  let swept = 0
  while (!isEnding()) {
    const deleted = await deleteSome(batch)
    swept += deleted
    count(deleted)
    if (deleted < batch) break
    await Bun.sleep(pause)
  }
  return swept
}
