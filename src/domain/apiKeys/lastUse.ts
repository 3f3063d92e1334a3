import { describeError } from '../../telemetry/log.ts'
import type { Deps } from '../deps.ts'
import { createUseRecorder } from '../useRecorder.ts'
import type { ApiKey } from './apiKeys.ts'

/** Milliseconds between two updates of one key's `last_used_at`. */
const updateInterval = 60_000

/** Returns a function that updates `last_used_at` of an accepted key in the background. */
export function createLastUseRecorder({ database, clock, log }: Deps): (apiKey: ApiKey) => void {
  const noteUse = createUseRecorder(clock, {
    interval: updateInterval,
    record: (ids, now, limits) => database.apiKeys.updateLastUse(ids, now, limits),
    failed: (count, error) => log.warn('api_key.use_not_noted', { api_keys: count, ...describeError(error) }),
  })
  return ({ id, last_used_at }) => noteUse(id, last_used_at?.getTime())
}
