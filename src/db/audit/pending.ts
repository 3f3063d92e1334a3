import type { TransactionSql } from 'postgres'
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

/** Inserts events. Takes no lock. */
export async function insertEvents(client: Client | TransactionSql, rows: readonly EventRow[]): Promise<void> {
  for (const row of rows)
    await client`
      INSERT INTO audittrail_audit_pending (process, n, leaf, by_private, about_private, mac)
      ${selectEvent(client, row)}`
}

/** Returns a CTE that inserts an event, to follow others in WITH. `condition` follows its SELECT. */
export function eventCte(client: Client, row: EventRow | undefined, condition = client``) {
  if (!row) return client``
  return client`,
    event AS (
      INSERT INTO audittrail_audit_pending (process, n, leaf, by_private, about_private, mac)
      ${selectEvent(client, row)} ${condition})`
}

function selectEvent(client: Client | TransactionSql, row: EventRow) {
  return client`
    SELECT ${row.process}::text, ${row.n}::bigint, ${row.leaf}::text, ${row.byPrivate}::text, ${row.aboutPrivate}::text,
           decode(${row.mac.toString('hex')}::text, 'hex')`
}
