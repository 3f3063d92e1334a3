import { maintainKeys } from '../domain/keys/signingKeys.ts'
import { createCostliestHashReader } from '../domain/passwords/costliestHash.ts'
import { sweepExpiredFailures, sweepExpiredSessions } from '../domain/sessions/sweep.ts'
import { lowerThreadPriority } from '../system/threadPriority.ts'
import { describeError } from '../telemetry/log.ts'
import type { App } from './app.ts'

/** Milliseconds between two rounds of housekeeping. */
const housekeepingInterval = 60_000

/**
 * Maintains keys, sweeps expired data and reads the costliest hash, now and every minute. Returns a
 * function to stop it.
 */
export function startHousekeeping({ deps }: Pick<App, 'deps'>): () => void {
  let isStopped = false
  const isEnding = () => isStopped
  const reporting = async (work: () => Promise<void>) => {
    try {
      await work()
    } catch (error) {
      if (!isStopped) deps.log.warn('housekeeping.failed', describeError(error))
    }
  }
  const rereadCostliestHash = createCostliestHashReader({ ...deps, users: deps.database.users }, isEnding)
  const maintain = async () => {
    await maintainKeys(deps)
    const swept = await sweepExpiredSessions(deps, isEnding)
    if (swept > 0) deps.log.info('sessions.swept', { swept })
    await sweepExpiredFailures(deps, isEnding)
  }
  const round = async () => {
    await reporting(lowerThreadPriority)
    deps.argon2()
    // Side by side: with many users, reading takes longer than a round.
    await Promise.all([reporting(maintain), reporting(rereadCostliestHash)])
  }
  void round()
  const timer = setInterval(round, housekeepingInterval)
  return () => {
    isStopped = true
    clearInterval(timer)
  }
}
