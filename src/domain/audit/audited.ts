import type { EventRow } from '../../db/audit/pending.ts'
import type { AuditedStatements, ChangeKind, Database } from '../../db/database.ts'
import { isRolledBack } from '../../db/failure.ts'
import { AppError } from '../../error.ts'
import type { Log } from '../../telemetry/log.ts'
import type { Settlement } from './numbers.ts'
import { type AuditRecord, logEvent, type Source } from './record.ts'
import type { PreparedEvent, Recorder } from './recorder.ts'

export interface AuditDeps {
  readonly database: Pick<Database, 'withEvents' | 'audit'>
  readonly log: Log
  readonly audit: Recorder
  readonly source?: Source | undefined
}

/**
 * Prepares the rows of events. Forgets those of an earlier attempt, which was rolled back, unless
 * these are `further` events of the same attempt.
 */
export type RowsOf = (records: readonly AuditRecord[], part?: 'further') => readonly EventRow[]

/**
 * Makes a change and records its events in one transaction: both are committed or neither is. Logs
 * the events after that.
 */
export function audited<T>(
  deps: AuditDeps,
  change: (statements: AuditedStatements) => Promise<T>,
  recordsOf: (result: T) => readonly AuditRecord[],
  kind?: ChangeKind,
): Promise<T> {
  return auditedWork(deps, (rowsOf) => deps.database.withEvents(change, (result) => rowsOf(recordsOf(result)), kind))
}

/**
 * Runs work that inserts the rows it asks for in its transaction. They are committed when it ends.
 * Logs the events after that.
 */
export async function auditedWork<T>(
  deps: Pick<AuditDeps, 'audit' | 'source' | 'log'>,
  work: (rowsOf: RowsOf) => Promise<T>,
): Promise<T> {
  const { audit, source } = deps
  let prepared: PreparedEvent[] = []
  let hasFailed = false
  const rowsOf: RowsOf = (records, part) => {
    // Work on the embedded database goes on after its time limit. Throwing rolls it back.
    if (hasFailed) throw new AppError('unavailable', 'The change took too long.')
    if (part !== 'further') {
      audit.settle(prepared, 'lost')
      prepared = []
    }
    const added = records.map((record) => audit.prepare(record, source))
    prepared.push(...added)
    return added.map(({ row }) => row)
  }
  try {
    const result = await work(rowsOf)
    audit.settle(prepared, 'committed')
    for (const { record } of prepared) logEvent(deps, record.event)
    return result
  } catch (error) {
    hasFailed = true
    audit.settle(prepared, settlementOf(error))
    throw error
  }
}

/** Runs one statement that also writes the row of an event, if it does what `isDone` says. */
export async function auditedStatement<T>(
  { audit, source }: Pick<AuditDeps, 'audit' | 'source'>,
  record: AuditRecord,
  run: (row: EventRow) => Promise<T>,
  isDone: (result: T) => boolean = () => true,
): Promise<T> {
  const prepared = audit.prepare(record, source)
  try {
    const result = await run(prepared.row)
    audit.settle([prepared], isDone(result) ? 'committed' : 'lost')
    return result
  } catch (error) {
    audit.settle([prepared], settlementOf(error))
    throw error
  }
}

/** Records an event that changes nothing else, and logs it. */
export async function recordAlone(deps: AuditDeps, record: AuditRecord): Promise<void> {
  await auditedStatement(deps, record, deps.database.audit.insertEvent)
  logEvent(deps, record.event)
}

/** Records a refusal, and logs it. Those above their bounds are only counted. */
export async function recordRefusal(deps: AuditDeps, record: AuditRecord): Promise<void> {
  if (isAdmitted(deps, record)) return recordAlone(deps, record)
  logEvent(deps, record.event)
}

/** Returns whether a refusal is within its bounds. Counts it otherwise. */
export function isAdmitted({ audit, source }: Pick<AuditDeps, 'audit' | 'source'>, record: AuditRecord): boolean {
  const address = ('address' in record.event ? record.event.address : undefined) ?? source?.address
  return audit.admit({ ...record, by: record.by ?? source?.by }, address)
}

/** Records how many refusals were only counted, at most once a minute or `now`. */
export async function recordSuppressed(deps: AuditDeps, when: 'due' | 'now' = 'due'): Promise<void> {
  const { refusals } = deps.audit
  const recorded = refusals.take(when).map(async (suppressed) => {
    const { type, subject, network, count } = suppressed
    const source = network === undefined ? undefined : { by: { kind: 'anonymous' } as const, address: network }
    try {
      await recordAlone({ ...deps, source }, { event: { event: 'audit.suppressed', type, count }, about: subject })
    } catch (error) {
      refusals.giveBack(suppressed)
      throw error
    }
  })
  await Promise.all(recorded)
}

function settlementOf(error: unknown): Settlement {
  return isRolledBack(error) ? 'lost' : 'unsure'
}
