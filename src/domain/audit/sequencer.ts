import type { Clock } from '../../clock.ts'
import type { Database } from '../../db/database.ts'
import { describeError, type Log } from '../../telemetry/log.ts'
import { edgeWidths } from '../transparency/tree.ts'
import { recordAlone } from './audited.ts'
import { followHead } from './head.ts'
import type { Recorder } from './recorder.ts'
import { checkHead, type Inconsistency, planBatch } from './sequencing.ts'

/** Moves events into the log, and follows its head in memory. One per process. */
export interface Sequencer {
  /** Takes what is pending, unless another process is doing so, and follows the head. */
  run(): Promise<void>
  /** Runs every few seconds, and within a second of an event. Returns a function that stops it. */
  start(): () => Promise<void>
  state(): SequencerState
}

export interface SequencerState {
  readonly size: number
  /** Why the log cannot be continued. Undefined while it can. */
  readonly inconsistency: Inconsistency | undefined
  /** As of the last run. */
  readonly pending: number
  readonly refused: number
  /** When the last run succeeded, in milliseconds since the epoch. */
  readonly sequencedAt: number
}

export interface SequencerDeps {
  readonly database: Pick<Database, 'audit' | 'withEvents'>
  readonly audit: Recorder
  readonly clock: Clock
  readonly monotonicClock: Clock
  readonly log: Log
}

/** Milliseconds. */
const shortestPause = 1000
const pollInterval = 5000
const reportInterval = 60_000

export function createSequencer(deps: SequencerDeps, firstOrigin: string, polls: boolean): Sequencer {
  const { database, audit, clock, monotonicClock, log } = deps
  const head = followHead(deps, firstOrigin)
  let inconsistency: Inconsistency | undefined
  let counts = { pending: 0, refused: 0 }
  let sequencedAt = 0
  let reportedAt = Number.NEGATIVE_INFINITY

  async function sequence(): Promise<void> {
    for (;;) {
      let found: Inconsistency | undefined
      const setting = { origin: firstOrigin, now: new Date(clock()), widthsOf: edgeWidths }
      const taken = await database.audit.sequence(setting, (input) => {
        const checked = checkHead(audit.keys, input.head)
        if ('inconsistency' in checked) found = checked.inconsistency
        // Never signs on top of a head that this process knows to be wrong.
        else if (head.isBehind(input.head)) found = 'rolled_back'
        else return planBatch(audit.keys, checked.edge, input)
        return undefined
      })
      inconsistency = found
      if (found !== undefined || taken === undefined || taken === 0) return
    }
  }

  async function checkArrivals(): Promise<void> {
    const overdue = audit.takeOverdue(monotonicClock())
    if (overdue.length === 0) return
    const missing = new Set(await database.audit.findMissing(overdue.map(({ process, n }) => ({ process, n }))))
    for (const { n, leaf } of overdue) if (missing.has(n)) log.error('audit.missing', { leaf })
  }

  async function recordSuppressed(): Promise<void> {
    for (const [type, count] of audit.takeSuppressed())
      await recordAlone(deps, { event: { event: 'audit.suppressed', type, count } })
  }

  async function run(): Promise<void> {
    await recordSuppressed()
    await sequence()
    inconsistency = (await head.follow()) ?? inconsistency
    await checkArrivals()
    reportInconsistency()
    counts = await database.audit.countPending()
    if (inconsistency === undefined) sequencedAt = clock()
  }

  function reportInconsistency(): void {
    if (inconsistency === undefined || monotonicClock() - reportedAt < reportInterval) return
    reportedAt = monotonicClock()
    log.error('audit.inconsistent', {
      reason: inconsistency,
      detail:
        'the audit log in the database is not the one that this service has signed; nothing is added to it until "audittrail audit restored" accepts it',
    })
  }

  return {
    run,
    start: () => startRunning({ run, audit, log, polls }),
    state: () => ({ size: head.size(), inconsistency, ...counts, sequencedAt }),
  }
}

interface Running {
  readonly run: () => Promise<void>
  readonly audit: Recorder
  readonly log: Log
  /** Whether other processes write events too. */
  readonly polls: boolean
}

function startRunning({ run, audit, log, polls }: Running): () => Promise<void> {
  let current: Promise<void> = Promise.resolve()
  let timer: Timer | undefined
  let isStopped = false
  const attempt = () =>
    run().catch((error: unknown) => {
      log.warn('audit.sequencing_failed', describeError(error))
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
  const poll = polls ? setInterval(() => schedule(0), pollInterval) : undefined
  schedule(0)
  return async () => {
    isStopped = true
    clearInterval(poll)
    clearTimeout(timer)
    await current
    await attempt()
  }
}
