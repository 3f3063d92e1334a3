import type { Config } from '../config/config.ts'
import { recordBaseline } from '../domain/accountVerification/baseline.ts'
import { maintainKeys } from '../domain/keys/signingKeys.ts'
import { createRejectionWorkReader } from '../domain/passwords/rejectionWork.ts'
import { createAgedErasure } from '../domain/retention/eraseAged.ts'
import { createAgedPruning } from '../domain/retention/prune.ts'
import { sweepExpiredFailures, sweepExpiredSessions } from '../domain/sessions/sweep.ts'
import { lowerThreadPriority } from '../system/threadPriority.ts'
import { describeError } from '../telemetry/log.ts'
import type { App } from './app.ts'

type RetentionConfig = Pick<Config, 'auditPersonalDays' | 'auditRetentionDays'>

/** Milliseconds between two rounds of housekeeping. */
const housekeepingInterval = 60_000
/** Milliseconds that a shutdown waits for work that is running. */
const stopLimit = 1000

/**
 * Maintains keys, sweeps expired data and reads the users' hashes, now and every minute. Returns a
 * function to stop it.
 */
export function startHousekeeping(
  { deps, verification }: Pick<App, 'deps' | 'verification'>,
  config: RetentionConfig,
): () => Promise<void> {
  let isStopped = false
  let round = 0
  let areIndexesComplete = false
  const isEnding = () => isStopped
  const reporting = async (work: () => Promise<void>) => {
    try {
      await work()
    } catch (error) {
      if (!isStopped) deps.log.warn('housekeeping.failed', describeError(error))
    }
  }
  const rereadHashes = createRejectionWorkReader({ ...deps, users: deps.database.users }, isEnding)
  // Each reports its own failure, so that a failing one does not keep the others from running.
  const sweep = async () => {
    const swept = await sweepExpiredSessions(deps, isEnding, round)
    if (swept > 0) deps.log.info('sessions.swept', { swept })
  }
  // Building them takes minutes on a large table, while the server serves.
  const completeIndexes = async () => {
    if (!areIndexesComplete) areIndexesComplete = (await deps.database.completeIndexes()) === 0
  }
  const eraseAged = createAgedErasure(deps, config.auditPersonalDays, isEnding)
  const prune = createAgedPruning(deps, config.auditRetentionDays, isEnding)
  const works = [
    () => maintainKeys(deps),
    sweep,
    async () => void (await sweepExpiredFailures(deps, isEnding)),
    rereadHashes,
    completeIndexes,
    () => recordBaseline(deps, isEnding),
    async () => void (await eraseAged()),
    async () => void (await prune()),
    () => verification.run(isEnding),
  ].map(unlessRunning)
  const maintain = async () => {
    await reporting(lowerThreadPriority)
    deps.argon2()
    // Side by side: with many users, reading and sweeping take longer than a round.
    await Promise.all(works.map(reporting))
    round++
  }
  let current = maintain()
  const timer = setInterval(() => {
    current = maintain()
  }, housekeepingInterval)
  return async () => {
    isStopped = true
    clearInterval(timer)
    // An event that follows `server.stopped` would stay unsettled.
    const { promise: late, resolve } = Promise.withResolvers<void>()
    const limit = setTimeout(resolve, stopLimit)
    await Promise.race([current, late])
    clearTimeout(limit)
  }
}

/** Returns the work, which does nothing while a call of an earlier round continues. */
function unlessRunning(work: () => Promise<void>): () => Promise<void> {
  let isRunning = false
  return async () => {
    if (isRunning) return
    isRunning = true
    try {
      await work()
    } finally {
      isRunning = false
    }
  }
}
