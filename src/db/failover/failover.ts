import { AppError } from '../../error.ts'
import type { Log } from '../../telemetry/log.ts'
import type { ChangeObserver } from '../changes.ts'
import { serverChanged } from '../failure.ts'
import type { Admit } from '../pool/connection.ts'
import type { Pool } from '../pool/pool.ts'
import { readRun, type SessionFacts } from '../pool/session.ts'
import { createAcknowledgedChanges } from './acknowledgedChanges.ts'
import type { RepetitionProgress } from './batches.ts'
import { type Durability, readDurability } from './durability.ts'
import type { RecordRepetition } from './recording.ts'
import { type Losses, repeatRevocations } from './repetition.ts'
import { failoverStatements } from './statements.ts'
import { createWalPositions, isBefore } from './walPositions.ts'

/**
 * Notices another server or timeline behind DATABASE_URL. Repeats the revocations that this process
 * has acknowledged before any operation can see them undone (docs/decisions/0025).
 */
export interface Failover {
  readonly admit: Admit
  readonly changes: ChangeObserver
  /** Lets it read from the pool that admits its connections. */
  attach(pool: Pick<Pool, 'read'>): void
  /** Call it before a connection is opened: repeated changes are recorded this way. */
  recordWith(record: RecordRepetition): void
  /**
   * Notices another server behind a pooler, and connects to a new primary as long as there are
   * revocations to repeat there.
   */
  check(): Promise<void>
  /** Reads whether commits wait for a standby. */
  readDurability(): Promise<Durability>
  state(): FailoverState
  /** Stops reading. */
  stop(): void
}

export interface FailoverState {
  /** Undefined if the server does not report it. */
  readonly timeline: number | undefined
  /** Since the start. */
  readonly failovers: number
  /** Acknowledged changes that were missing after failovers. */
  readonly lost: number
}

type Run = Pick<SessionFacts, 'instance' | 'timeline'>

export function createFailover(log: Log, now: () => number): Failover {
  const positions = createWalPositions(now)
  const changes = createAcknowledgedChanges(now, positions.changed)
  let known: Run | undefined
  let pending: { readonly run: Run; readonly done: Promise<void> } | undefined
  let pool: Pick<Pool, 'read'> | undefined
  let isPooled = false
  let record: RecordRepetition = () => Promise.reject(new AppError('unavailable', 'The audit log is not ready.'))
  const counts = { failovers: 0, lost: 0 }
  let progress = startProgress()

  function attached(): Pick<Pool, 'read'> {
    if (pool === undefined) throw new AppError('unavailable', 'The database is embedded.')
    return pool
  }

  async function moveTo(run: Run, former: Run, connection: Parameters<Admit>[0]): Promise<void> {
    const forkedAt = run.timeline?.forkedAt ?? undefined
    const safeUntil = forkedAt === undefined ? undefined : positions.latestBefore(forkedAt)
    const losses = isRestart(run, former)
      ? none
      : await repeatRevocations(connection, changes, { safeUntil, isPooled, progress, record })
    progress = startProgress()
    report(run, former, losses)
    positions.clear()
    known = run
  }

  function report(run: Run, former: Run, losses: Losses): void {
    const isFailover = isPromotion(run, former)
    if (isFailover) counts.failovers++
    const lost = losses.repeated + losses.missing
    counts.lost += lost
    if (isFailover || lost > 0) logFailover(log, { run, former, losses, acknowledged: positions.latest() })
  }

  return {
    changes,
    admit: async (connection, facts) => {
      isPooled = !facts.isDirect
      if (known === undefined) known = facts
      if (isSame(known, facts)) return
      if (pending === undefined || !isSame(pending.run, facts)) {
        const done = moveTo(facts, known, connection).finally(() => {
          pending = undefined
        })
        pending = { run: facts, done }
      }
      await pending.done
    },
    attach: (opened) => {
      pool = opened
      positions.readWith(() => opened.read((connection) => failoverStatements(connection).readWalPosition()))
    },
    recordWith: (recording) => {
      record = recording
    },
    check: async () => {
      // Also forgets old ones, whether there is a failover or not.
      const isRevoking = changes.revocations().length > 0
      if (!isPooled && !isRevoking) return
      await attached().read(async ({ client }) => {
        const run = await readRun(client)
        if (known && !isSame(known, run)) throw serverChanged()
      })
    },
    readDurability: () => attached().read(readDurability),
    stop: positions.stop,
    state: () => ({ timeline: known?.timeline?.number, ...counts }),
  }
}

interface ReportedFailover {
  readonly run: Run
  readonly former: Run
  readonly losses: Losses
  /** The latest WAL position that was read before. */
  readonly acknowledged: string | undefined
}

function logFailover(log: Log, { run, former, losses, acknowledged }: ReportedFailover): void {
  const { repeated, missing } = losses
  const forkedAt = run.timeline?.forkedAt
  const isBehind = forkedAt && acknowledged ? isBefore(forkedAt, acknowledged) : undefined
  const facts = {
    timeline: run.timeline?.number,
    former_timeline: former.timeline?.number,
    forked_at: forkedAt,
    acknowledged_at: acknowledged,
    is_behind: isBehind,
    revoked_again: repeated,
    missing,
  }
  if (repeated + missing > 0) log.error('database.changes_lost', { ...facts, detail: lossText })
  else log.warn('database.failover', { ...facts, detail: isBehind ? behindText : completeText })
}

const completeText = 'no change that this process had acknowledged is missing'
const behindText =
  'the new primary was behind when it took over; none of the latest changes of this process is missing, earlier ones may be'
const lossText =
  'the new primary lacks changes that this process had acknowledged; revocations were repeated, other changes are lost: use synchronous replication'

function isSame(one: Run, other: Run): boolean {
  return one.instance === other.instance && one.timeline?.number === other.timeline?.number
}

function startProgress(): RepetitionProgress {
  return { repeated: 0, rejected: new Set() }
}

const none: Losses = { repeated: 0, missing: 0 }

/** Returns whether the server is on a higher timeline. */
function isPromotion({ timeline }: Run, former: Run): boolean {
  return timeline !== undefined && former.timeline !== undefined && timeline.number > former.timeline.number
}

/** Returns whether the server was restarted on its timeline, which loses nothing. */
function isRestart({ timeline }: Run, former: Run): boolean {
  return timeline !== undefined && !timeline.forkedAt && timeline.number === former.timeline?.number
}
