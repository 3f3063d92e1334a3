import { guarded } from '../failure.ts'
import type { Client } from '../pool/connection.ts'
import { clamped } from './sequence.ts'

/** What was pruned from the beginning of the log. */
export interface StoredPruning {
  /** Records below it were pruned. */
  readonly minimumIndex: number
}

/** Statements that remove the beginning of the log. */
export function pruningStatements(client: Client) {
  return {
    readPruning: (): Promise<StoredPruning> =>
      guarded(async () => {
        const [row] = await client`SELECT minimum_index::text AS minimum FROM audittrail_audit_state WHERE id = 1`
        return { minimumIndex: clamped(row?.minimum ?? 0) }
      }),

    /**
     * Returns whether the log has a record that may be of a pruning after the one up to an index.
     */
    hasPruningAbove: (index: number): Promise<boolean> =>
      guarded(async () => {
        const rows = await client`
          SELECT FROM audittrail_audit_events WHERE type = 'audit.pruned' AND index >= ${index}::bigint LIMIT 1`
        return rows.length > 0
      }),

    /** Returns which of these processes have records from an index on. */
    findLaterProcesses: (processes: readonly string[], from: number): Promise<string[]> =>
      guarded(async () => {
        const rows = await client`
          SELECT given.process FROM json_array_elements_text(${JSON.stringify(processes)}::text::json) AS given (process)
          WHERE EXISTS (
            SELECT FROM audittrail_audit_events event WHERE event.process = given.process AND event.index >= ${from}::bigint)`
        return rows.map(({ process }) => process)
      }),

    /**
     * Deletes records below an index, and the checkpoints that no remaining record can prove.
     * Later, pending events from before a time are refused. Run it in a transaction.
     */
    deleteRecords: (below: number, before: Date): Promise<number> =>
      guarded(async () => {
        await client`
          UPDATE audittrail_audit_state SET minimum_index = greatest(minimum_index, ${below}::bigint),
            pruned_before = greatest(pruned_before, ${before.toISOString()}::timestamptz)
          WHERE id = 1`
        await client`DELETE FROM audittrail_audit_checkpoints WHERE size < ${below}::bigint`
        const { count } = await client`DELETE FROM audittrail_audit_events WHERE index < ${below}::bigint`
        return count
      }),
  }
}
