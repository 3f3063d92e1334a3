import type { AppError } from '../../error.ts'
import type { Log } from '../../telemetry/log.ts'

/** Receives the outcome of every operation. */
export interface AvailabilityObserver {
  failed(failure: AppError): void
  succeeded(): void
  /** Connections to a lower timeline were dropped. */
  fenced(reason: string): void
}

/**
 * Milliseconds: without a failure before a success means recovery; between two lines during an
 * outage; before a different reason gets a line.
 */
const intervals = { recovery: 1000, repeat: 30_000, reason: 1000 }

/**
 * Logs the start of an outage, a line every half minute or when the reason changes, and the
 * recovery, no matter how many requests are affected.
 */
export function createAvailabilityLog(log: Log, now: () => number): AvailabilityObserver {
  let outage: { since: number; lastFailure: number; lastLine: number; reason: string; failures: number } | undefined
  return {
    failed(failure) {
      const at = now()
      outage ??= { since: at, lastFailure: at, lastLine: Number.NEGATIVE_INFINITY, reason: '', failures: 0 }
      outage.lastFailure = at
      outage.failures++
      if (at - outage.lastLine < (failure.message === outage.reason ? intervals.repeat : intervals.reason)) return
      outage.lastLine = at
      outage.reason = failure.message
      log.warn('database.unavailable', { detail: failure.message, failures: outage.failures })
    },
    succeeded() {
      if (outage === undefined) return
      const at = now()
      if (at - outage.lastFailure < intervals.recovery) return
      log.info('database.available', {
        away_ms: Math.round(outage.lastFailure - outage.since),
        failures: outage.failures,
      })
      outage = undefined
    },
    fenced: (reason) => log.warn('database.fenced', { detail: reason }),
  }
}
