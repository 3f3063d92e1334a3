import type { Clock } from '../../clock.ts'
import type { Database } from '../../db/database.ts'
import type { Log } from '../../telemetry/log.ts'
import { hashLeaf } from '../transparency/tree.ts'
import { recordAlone } from './audited.ts'
import { parseLeaf } from './leaf.ts'
import type { Recorder } from './recorder.ts'

/** What this process knows about events that are not in the log yet. */
export interface PendingState {
  readonly pending: number
  readonly refused: number
  /** The time of the oldest pending event. Undefined: none is pending. */
  readonly oldestPendingAt: number | undefined
  /** Committed events that have disappeared, since the start. */
  readonly missing: number
}

interface PendingDeps {
  readonly database: Pick<Database, 'audit' | 'withEvents'>
  readonly audit: Recorder
  readonly clock: Clock
  readonly monotonicClock: Clock
  readonly log: Log
}

/** Milliseconds between two lines about the same problem. */
export const reportInterval = 60_000

export function watchPending(deps: PendingDeps) {
  const { database, audit, clock, monotonicClock, log } = deps
  const isRefusalDue = atMostEvery(reportInterval, monotonicClock)
  let state: PendingState = { pending: 0, refused: 0, oldestPendingAt: undefined, missing: 0 }

  return {
    state: () => state,

    /** Records the events of this process that are neither pending nor in the log. */
    checkArrivals: async (): Promise<void> => {
      const overdue = audit.overdue(monotonicClock())
      if (overdue.length === 0) return
      const lost = new Set(await database.audit.findMissing(overdue))
      audit.forget(overdue)
      for (const { n, leaf } of overdue) {
        if (!lost.has(n)) continue
        state = { ...state, missing: state.missing + 1 }
        const hash = hashLeaf(leaf).toString('base64')
        await recordAlone(deps, { event: { event: 'audit.missing', n, hash, leaf } })
      }
    },

    count: async (): Promise<void> => {
      const { pending, refused, oldest } = await database.audit.countPending()
      const time = Date.parse(parseLeaf(oldest ?? '')?.time ?? '')
      // A row that someone else wrote may have no time.
      const at = Number.isNaN(time) ? (state.oldestPendingAt ?? clock()) : time
      state = { ...state, pending, refused, oldestPendingAt: pending === 0 ? undefined : at }
      if (refused > 0 && isRefusalDue())
        log.error('audit.refused', {
          refused,
          detail:
            'pending rows were not written by this service, were changed since, or are rejected by the database; run "audittrail audit verify"',
        })
    },
  }
}

/** Returns a function that returns true once per `interval` milliseconds. */
export function atMostEvery(interval: number, monotonicClock: Clock): () => boolean {
  let last = Number.NEGATIVE_INFINITY
  return () => {
    const isDue = monotonicClock() - last >= interval
    if (isDue) last = monotonicClock()
    return isDue
  }
}
