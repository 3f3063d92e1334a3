import type { Deps } from '../deps.ts'

/** Rows deleted by one statement: few enough that nobody waits behind it. */
const batch = 1000
/** Milliseconds between two batches. */
const pause = 50

/**
 * Deletes the sessions that no longer live, batch by batch, until none is left or `isEnding` says stop; answers how many.
 * Any number of replicas may do it at once: each passes over what another one is deleting.
 */
export function sweepExpiredSessions(
  { database, clock, metrics }: Pick<Deps, 'database' | 'clock' | 'metrics'>,
  isEnding: () => boolean,
): Promise<number> {
  return sweep(
    (limit) => database.sessions.deleteDeadSessions(new Date(clock()), limit),
    metrics.sessionsSwept,
    isEnding,
  )
}

/** The same for failed sign-ins that are forgotten. */
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
