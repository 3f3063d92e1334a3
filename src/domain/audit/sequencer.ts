import type { Clock } from '../../clock.ts'
import type { Database } from '../../db/database.ts'
import { describeError, type Log } from '../../telemetry/log.ts'
import { type Edge, edgeWidths } from '../transparency/tree.ts'
import { recordAlone, recordSuppressed } from './audited.ts'
import { type Anchor, followHead, type SignedHead } from './head.ts'
import { atMostEvery, type PendingState, reportInterval, watchPending } from './pendingEvents.ts'
import type { Recorder } from './recorder.ts'
import { type Inconsistency, type PlannedBatch, planBatch } from './sequencing.ts'

/** Moves events into the log, and follows its head in memory. One per process. */
export interface Sequencer {
  /** Takes what is pending, unless another process is doing so, and follows the head. */
  run(): Promise<void>
  /**
   * Takes what is pending if all of it is from this process. Rows of a server may be pending
   * because the server, which remembers the log, does not continue it.
   */
  runOwn(): Promise<void>
  /** Runs every 5 s by default, and within 1 s of an event. Returns a function that stops it. */
  start(milliseconds?: number): () => Promise<void>
  state(): SequencerState
  /** Returns the newest head that this process has followed. Undefined while there is none. */
  signedHead(): SignedHead | undefined
}

export interface SequencerState extends PendingState {
  readonly size: number
  /** Why the log cannot be continued. Undefined while it can. */
  readonly inconsistency: Inconsistency | undefined
  /** Since the start. */
  readonly suppressed: number
  /** When the last run succeeded, in milliseconds since the epoch. */
  readonly sequencedAt: number
}

export interface SequencerDeps {
  readonly database: Pick<Database, 'audit' | 'withEvents'>
  readonly audit: Recorder
  readonly clock: Clock
  readonly monotonicClock: Clock
  readonly log: Log
  /** See `followHead`. */
  readonly readAnchor?: (() => Promise<Anchor | 'none' | undefined>) | undefined
}

/** Milliseconds. */
const shortestPause = 1000
const pollInterval = 5000
/** Ids in a log line. */
const maxListed = 20

export function createSequencer(deps: SequencerDeps, polls: boolean): Sequencer {
  const { database, audit, clock, monotonicClock, log } = deps
  const head = followHead(deps)
  const pending = watchPending(deps)
  let sequencedAt = 0
  const isInconsistencyDue = atMostEvery(reportInterval, monotonicClock)

  /**
   * Follows the log, and adds what is pending, to a head that was followed only. Returns whether
   * it could: false if the log is inconsistent or another process is adding to it.
   */
  async function sequence(scope: 'all' | 'own'): Promise<boolean> {
    audit.inconsistency = await head.follow()
    while (audit.inconsistency === undefined) {
      const setting = { origin: audit.keys.firstOrigin(), now: new Date(clock()), widthsOf: edgeWidths, onRejected }
      let edge: Edge | undefined
      let planned: { readonly origin: string; readonly batch: PlannedBatch } | undefined
      const taken = await database.audit.sequence(setting, (input) => {
        edge = head.edgeAt(input.head)
        const isTaken = scope === 'all' || input.pending.every(({ process }) => process === audit.process)
        const batch = edge && isTaken ? planBatch(audit.keys, edge, input) : undefined
        planned = batch && { origin: input.head.origin, batch }
        return batch
      })
      if (taken === undefined) return false
      if (planned) head.advance(planned.origin, planned.batch)
      // Another process has continued the log in between.
      else if (!edge) audit.inconsistency = await head.follow()
      if (edge && taken === 0) return true
    }
    return false
  }

  const run = oneAtATime(async () => {
    try {
      await recordSuppressed(deps)
      if (audit.isTailIdle(monotonicClock())) await recordAlone(deps, { event: { event: 'server.alive' } })
      await pending.checkArrivals()
      const isCurrent = await sequence('all')
      reportInconsistency()
      if (isCurrent) sequencedAt = clock()
    } finally {
      await pending.count()
    }
  })

  function onRejected(rows: readonly string[], error: unknown): void {
    log.error('audit.rows_set_aside', { ...describeError(error), rows: rows.slice(0, maxListed), count: rows.length })
  }

  function reportInconsistency(): void {
    if (audit.inconsistency === undefined || !isInconsistencyDue()) return
    log.error('audit.inconsistent', {
      reason: audit.inconsistency,
      detail:
        'the audit log in the database is not the one that this service has signed; nothing is added to it until "audittrail audit restored" accepts it',
    })
  }

  return {
    run,
    runOwn: async () => {
      await sequence('own')
      reportInconsistency()
    },
    start: (interval = pollInterval) => startRunning({ run, audit, monotonicClock, log, polls, interval }),
    state: () => ({
      size: head.signed()?.size ?? 0,
      inconsistency: audit.inconsistency,
      ...pending.state(),
      suppressed: audit.refusals.count(),
      sequencedAt,
    }),
    signedHead: () => (audit.inconsistency === undefined ? head.signed() : undefined),
  }
}

/** Returns a function that runs the work after the run in progress. Waiting calls share one run. */
function oneAtATime(work: () => Promise<void>): () => Promise<void> {
  let last: Promise<void> = Promise.resolve()
  let next: Promise<void> | undefined
  return () => {
    next ??= last
      .catch(() => {})
      .then(() => {
        next = undefined
        last = work()
        return last
      })
    return next
  }
}

interface Running {
  readonly run: () => Promise<void>
  readonly audit: Recorder
  readonly monotonicClock: Clock
  readonly log: Log
  /** Whether other processes write events too. */
  readonly polls: boolean
  /** Milliseconds. */
  readonly interval: number
}

function startRunning({ run, audit, monotonicClock, log, polls, interval }: Running): () => Promise<void> {
  let current: Promise<void> = Promise.resolve()
  let timer: Timer | undefined
  let isStopped = false
  const attempt = () =>
    run().catch((error: unknown) => {
      log.warn('audit.sequencing_failed', describeError(error))
      if (!isStopped) schedule(interval)
    })
  const schedule = (pause: number) => {
    timer ??= setTimeout(() => {
      timer = undefined
      current = attempt()
    }, pause)
  }
  audit.onCommitted = () => {
    if (!isStopped) schedule(shortestPause)
  }
  // A database that only this process writes to is not asked without a reason.
  const poll = setInterval(() => {
    if (polls || audit.isTailIdle(monotonicClock()) || audit.refusals.isDue()) schedule(0)
  }, interval)
  schedule(0)
  return async () => {
    isStopped = true
    clearInterval(poll)
    clearTimeout(timer)
    await current
    await attempt()
  }
}
