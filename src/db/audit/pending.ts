import type { TransactionSql } from 'postgres'
import { AppError } from '../../error.ts'
import { discardedEventText } from '../advice.ts'
import type { Client } from '../pool/connection.ts'

/** An event as it is written with its change. */
export interface EventRow {
  readonly process: string
  /** Its number in this process. */
  readonly n: number
  readonly leaf: string
  readonly byPrivate: string | null
  readonly aboutPrivate: string | null
  readonly mac: Buffer
}

/** Inserts events. Takes no lock. Throws `refused` if a trigger or rule discards one. */
export async function insertEvents(client: Client | TransactionSql, rows: readonly EventRow[]): Promise<void> {
  for (const row of rows) {
    const { count } = await client`
      INSERT INTO audittrail_audit_pending (process, n, leaf, by_private, about_private, mac)
      ${selectEvent(client, row)}`
    if (count !== 1) throw new AppError('refused', discardedEventText)
  }
}

/**
 * Returns a CTE that inserts an event, to follow others in WITH. `condition` follows its SELECT.
 */
export function eventCte(client: Client, row: EventRow | undefined, condition = client``) {
  if (!row) return client``
  return client`,
    event AS (
      INSERT INTO audittrail_audit_pending (process, n, leaf, by_private, about_private, mac)
      ${selectEvent(client, row)} ${condition} RETURNING 1)`
}

/**
 * Returns an expression that fails the statement (22012) if a trigger discards the event of the
 * CTE.
 */
export function eventCheck(client: Client, row: EventRow | undefined) {
  return row ? client`(SELECT 1 / count(*)::integer FROM event)` : client`1`
}

function selectEvent(client: Client | TransactionSql, row: EventRow) {
  return client`
    SELECT ${row.process}::text, ${row.n}::bigint, ${row.leaf}::text, ${row.byPrivate}::text, ${row.aboutPrivate}::text,
           decode(${row.mac.toString('hex')}::text, 'hex')`
}
