import { randomBytes } from 'node:crypto'
import type { Clock } from '../../clock.ts'
import type { EventRow } from '../../db/audit/pending.ts'
import { networkOf } from '../network.ts'
import { createRefusalBudget, type RefusalBudget } from '../refusalBudget.ts'
import type { AuditKeys } from './auditKeys.ts'
import type { AuditEvent } from './events.ts'
import { buildLeaf } from './leaf.ts'
import { createEventNumbers, type Settlement } from './numbers.ts'
import type { AuditRecord, Party, Source } from './record.ts'
import type { Inconsistency } from './sequencing.ts'

/** A record with its row, which is yet to be written. */
export interface PreparedEvent {
  readonly record: AuditRecord
  readonly row: EventRow
}

/** Makes the rows of this process's events, and knows what became of each. */
export interface Recorder {
  readonly keys: AuditKeys
  /** Identifies this process in its events. */
  readonly process: string
  /** Numbers an event and returns its row. Settle it once the outcome is known. */
  prepare(record: AuditRecord, source: Source | undefined): PreparedEvent
  settle(events: readonly PreparedEvent[], settlement: Settlement): void
  /** Returns whether a refusal from this address is within its bounds. Counts it otherwise. */
  admit(refusal: RefusedRecord, address: string | undefined): boolean
  /** The refusals that were only counted. */
  readonly refusals: Omit<RefusalBudget<Party>, 'admit'>
  /** Called after events are committed. */
  onCommitted: () => void
  /**
   * Why this process cannot continue the log, as its sequencer found. Nothing is published then.
   */
  inconsistency: Inconsistency | undefined
  /** Returns committed events that should be in the log by now. */
  overdue(now: number): readonly CommittedEvent[]
  /** Keeps these events no longer. */
  forget(events: readonly CommittedEvent[]): void
  /** Returns whether the last event is an hour old, and no later one has settled its number. */
  isTailIdle(now: number): boolean
}

type RefusedRecord = Pick<AuditRecord, 'about' | 'by'> & { readonly event: Pick<AuditEvent, 'event'> }

export interface CommittedEvent {
  readonly process: string
  readonly n: number
  readonly leaf: string
}

/** Committed events kept to check that they arrive, and characters of their leaves. */
const maxKept = 10_000
const maxKeptLength = 10_000_000
/** Milliseconds after which a committed event must be pending or in the log. */
const patience = 30_000
/** Milliseconds without an event after which the last one is settled. */
const idleLimit = 3_600_000

export function createRecorder(keys: AuditKeys, clock: Clock, monotonicClock: Clock): Recorder {
  const process = randomBytes(8).toString('hex')
  const numbers = createEventNumbers()
  let kept = new Map<number, { readonly at: number; readonly leaf: string }>()
  let keptLength = 0
  const keep = (events: typeof kept) => {
    kept = events
    keptLength = 0
    for (const { leaf } of kept.values()) keptLength += leaf.length
  }
  const refusals = createRefusalBudget<Party>(monotonicClock)
  let tail: { readonly at: number; readonly isSettled: boolean } | undefined
  const recorder: Recorder = {
    keys,
    process,
    onCommitted: () => {},
    inconsistency: undefined,
    prepare: (record, source = {}) => {
      const taken = numbers.take()
      const leaf = buildLeaf(record, source, process, taken, new Date(clock()))
      return { record, row: { process, n: taken.n, ...leaf, mac: keys.macOf(leaf.leaf) } }
    },
    settle: (events, settlement) => {
      for (const { row, record } of events) {
        numbers.settle(row.n, settlement)
        if (settlement !== 'committed') continue
        const at = monotonicClock()
        tail = { at, isSettled: record.event.event === 'server.alive' }
        kept.set(row.n, { at, leaf: row.leaf })
        keptLength += row.leaf.length
        // Not one by one: a map passes over what was deleted from it.
        if (kept.size > maxKept || keptLength > maxKeptLength) keep(new Map([...kept].slice(kept.size / 10)))
      }
      if (settlement === 'committed' && events.length > 0) recorder.onCommitted()
    },
    admit: ({ event: { event: type }, about, by }, address) => {
      const subject = about?.id === undefined ? by : about
      const isKnown = subject?.id !== undefined
      const network = isKnown || address === undefined ? undefined : networkOf(address)
      if (refusals.admit({ type, subject: isKnown ? subject : undefined, network })) return true
      if (refusals.isDue()) recorder.onCommitted()
      return false
    },
    refusals,
    overdue: (now) =>
      [...kept].filter(([, { at }]) => now - at >= patience).map(([n, { leaf }]) => ({ process, n, leaf })),
    forget: (events) => {
      const forgotten = new Set(events.map(({ n }) => n))
      keep(new Map([...kept].filter(([n]) => !forgotten.has(n))))
    },
    isTailIdle: (now) => tail !== undefined && !tail.isSettled && now - tail.at >= idleLimit,
  }
  return recorder
}
