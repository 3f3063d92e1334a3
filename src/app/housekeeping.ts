import { maintainKeys } from '../domain/keys/signingKeys.ts'
import { sweepExpiredFailures, sweepExpiredSessions } from '../domain/sessions/sweep.ts'
import { lowerThreadPriority } from '../system/threadPriority.ts'
import { describeError } from '../telemetry/log.ts'
import type { App } from './app.ts'

/** Milliseconds between two rounds of housekeeping. */
const housekeepingInterval = 60_000

/** Maintains keys and sweeps expired data, now and every minute. Returns a function to stop it. */
export function startHousekeeping({ deps }: Pick<App, 'deps'>): () => void {
  let isStopped = false
  const round = async () => {
    try {
      await lowerThreadPriority()
      await maintainKeys(deps)
      const swept = await sweepExpiredSessions(deps, () => isStopped)
      if (swept > 0) deps.log.info('sessions.swept', { swept })
      await sweepExpiredFailures(deps, () => isStopped)
    } catch (error) {
      deps.log.warn('housekeeping.failed', describeError(error))
    }
  }
  void round()
  const timer = setInterval(round, housekeepingInterval)
  return () => {
    isStopped = true
    clearInterval(timer)
  }
}
