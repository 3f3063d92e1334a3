import { guarded } from '../failure.ts'
import type { Client } from '../pool/connection.ts'
import type { PendingEvent } from './batch.ts'
import { clamped, pendingColumns, pendingOf } from './sequence.ts'

export interface PendingCount {
  readonly pending: number
  readonly refused: number
  /** The leaf of the oldest event. */
  readonly oldest: string | undefined
}

const countedPending = 100_000

/** Statements on events that are not in the log yet. */
export function pendingStatements(client: Client) {
  return {
    /** Lists pending events in order, those that the service did not write too. */
    listPending: (after: string | undefined, limit: number): Promise<PendingEvent[]> =>
      guarded(async () => {
        const rows = await client`
          SELECT ${pendingColumns(client)} FROM audittrail_audit_pending
          ${after === undefined ? client`` : client`WHERE id > ${after}::bigint`} ORDER BY audittrail_audit_pending.id LIMIT ${limit}`
        return rows.map(pendingOf)
      }),

    /**
     * Counts pending events, and rows that the service did not write, up to `countedPending` each.
     * Returns the leaf of the oldest event too.
     */
    countPending: (): Promise<PendingCount> =>
      guarded(async () => {
        const [row] = await client`
          SELECT (SELECT count(*)::integer FROM (
                   SELECT FROM audittrail_audit_pending WHERE refused_at IS NULL LIMIT ${countedPending}) events) AS pending,
                 (SELECT count(*)::integer FROM (
                   SELECT FROM audittrail_audit_pending WHERE refused_at IS NOT NULL LIMIT ${countedPending}) rows) AS refused,
                 (SELECT leaf FROM audittrail_audit_pending WHERE refused_at IS NULL
                  ORDER BY audittrail_audit_pending.id LIMIT 1) AS oldest`
        return { pending: row?.pending ?? 0, refused: row?.refused ?? 0, oldest: row?.oldest ?? undefined }
      }),

    /** Returns which of these events are neither pending nor in the log. */
    findMissing: (keys: readonly { readonly process: string; readonly n: number }[]): Promise<number[]> =>
      guarded(async () => {
        const rows = await client`
          SELECT given.n::text AS n FROM json_to_recordset(${JSON.stringify(keys)}::text::json) AS given (process text, n bigint)
          WHERE NOT EXISTS (SELECT FROM audittrail_audit_pending pending WHERE pending.process = given.process AND pending.n = given.n)
            AND NOT EXISTS (SELECT FROM audittrail_audit_events event WHERE event.process = given.process AND event.n = given.n)`
        return rows.map(({ n }) => Number(n))
      }),

    /** Returns the indexes below one that events with these numbers have, by `process n`. */
    findIndexes: (
      keys: readonly { readonly process: string; readonly n: number }[],
      below: number,
    ): Promise<ReadonlyMap<string, number>> =>
      guarded(async () => {
        const given = JSON.stringify(keys.map(({ process, n }) => ({ process, n })))
        const rows = await client`
          SELECT event.process, event.n::text AS n, event.index::text AS index
          FROM json_to_recordset(${given}::text::json) AS given (process text, n bigint)
          JOIN audittrail_audit_events event ON event.process = given.process AND event.n = given.n
          WHERE event.index < ${below}::bigint`
        return new Map(rows.map(({ process, n, index }) => [`${process} ${n}`, clamped(index)]))
      }),

    deletePending: (ids: readonly string[]): Promise<void> =>
      guarded(async () => {
        await client`
          DELETE FROM audittrail_audit_pending
          WHERE id IN (SELECT value::bigint FROM json_array_elements_text(${JSON.stringify(ids)}::text::json))`
      }),

    /** Deletes a pending row that was refused, and returns it. */
    deleteRefused: (id: string): Promise<PendingEvent | undefined> =>
      guarded(async () => {
        const [row] = await client`
          DELETE FROM audittrail_audit_pending WHERE id = ${id}::bigint AND refused_at IS NOT NULL
          RETURNING ${pendingColumns(client)}`
        return row && pendingOf(row)
      }),
  }
}
