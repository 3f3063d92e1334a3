import { describeError } from '../../telemetry/log.ts'
import type { Deps } from '../deps.ts'
import type { ApiKey } from './apiKeys.ts'

/** Milliseconds between two updates of one key's `last_used_at`. */
const updateInterval = 60_000
/**
 * Milliseconds by which no replica's clock is ahead of another. A later `last_used_at` was written
 * by a wrong clock.
 */
const maximumClockSkew = 3_600_000
/**
 * Keys whose latest update is remembered, and keys in one statement. When full, the memory is
 * cleared.
 */
const maximumKeys = 1000

/**
 * Returns a function that updates `last_used_at` of an accepted key in the background. A failed
 * update is only logged. At most one statement runs at a time, which leaves the connections to
 * requests.
 */
export function createLastUseRecorder({ database, clock, log }: Deps): (apiKey: ApiKey) => void {
  const updatedAt = new Map<string, number>()
  const pending = new Set<string>()
  let isUpdating = false

  const updatePending = async () => {
    isUpdating = true
    while (pending.size > 0) {
      const ids = [...pending].slice(0, maximumKeys)
      for (const id of ids) pending.delete(id)
      const now = clock()
      const limits = { early: new Date(now - updateInterval), late: new Date(now + maximumClockSkew) }
      await database.apiKeys.updateLastUse(ids, new Date(now), limits).catch((error) => {
        log.warn('api_key.use_not_noted', { api_keys: ids.length, ...describeError(error) })
      })
    }
    isUpdating = false
  }

  return ({ id, last_used_at }) => {
    const now = clock()
    const isRecent = (time = 0) => time > now - updateInterval && time < now + maximumClockSkew
    if (isRecent(last_used_at?.getTime()) || isRecent(updatedAt.get(id))) return
    if (updatedAt.size >= maximumKeys) updatedAt.clear()
    updatedAt.set(id, now)
    pending.add(id)
    if (!isUpdating) void updatePending()
  }
}
