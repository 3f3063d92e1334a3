import type { AppError } from '../../error.ts'
import type { Log } from '../../telemetry/log.ts'

/** Told how the database does, operation by operation. */
export interface AvailabilityObserver {
  failed(failure: AppError): void
  succeeded(): void
}

/**
 * Milliseconds without a failure after which an answer means that the database is back; between two lines while it is away; and
 * until another reason than the last one is worth a line.
 */
const pauses = { back: 1000, again: 30_000, reason: 1000 }

/**
 * Puts the database's going and coming into the log: a line when it goes, one every half a minute or when the reason changes
 * while it is away, and one when it is back, however many requests meet it.
 */
export function createAvailabilityLog(log: Log, now: () => number): AvailabilityObserver {
  let away: { since: number; lastFailure: number; lastLine: number; reason: string; failures: number } | undefined
  return {
    failed(failure) {
      const at = now()
      away ??= { since: at, lastFailure: at, lastLine: Number.NEGATIVE_INFINITY, reason: '', failures: 0 }
      away.lastFailure = at
      away.failures++
      if (at - away.lastLine < (failure.message === away.reason ? pauses.again : pauses.reason)) return
      away.lastLine = at
      away.reason = failure.message
      log.warn('database.unavailable', { detail: failure.message, failures: away.failures })
    },
    succeeded() {
      if (away === undefined) return
      const at = now()
      if (at - away.lastFailure < pauses.back) return
      log.info('database.available', { away_ms: Math.round(away.lastFailure - away.since), failures: away.failures })
      away = undefined
    },
  }
}
