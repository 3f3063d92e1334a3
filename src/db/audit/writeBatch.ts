import type { TransactionSql } from 'postgres'
import type { Batch, SequencedEvent } from './batch.ts'

/** Writes what a batch adds to the log. */
export async function writeBatch(transaction: TransactionSql, batch: Batch, now: Date): Promise<void> {
  const { accepted, refused, nodes, size, root, note } = batch
  const at = now.toISOString()
  if (refused.length > 0)
    await transaction`
      UPDATE audittrail_audit_pending SET refused_at = now()
      WHERE id IN (SELECT value::bigint FROM json_array_elements_text(${JSON.stringify(refused)}::text::json))`
  if (accepted.length === 0) return
  await moveEvents(transaction, accepted)
  if (nodes.length > 0)
    await transaction`
      INSERT INTO audittrail_audit_nodes (level, index, hash)
      SELECT level, index, decode(hash, 'hex')
      FROM json_to_recordset(${JSON.stringify(nodes.map((node) => ({ ...node, hash: node.hash.toString('hex') })))}::text::json)
        AS given (level smallint, index bigint, hash text)`
  await transaction`
    INSERT INTO audittrail_audit_checkpoints (size, root, note, made_at)
    VALUES (${size}::bigint, decode(${root.toString('hex')}, 'hex'), ${note}, ${at}::timestamptz)`
}

/** Moves events from the pending ones into the log. */
export async function moveEvents(transaction: TransactionSql, accepted: readonly SequencedEvent[]): Promise<void> {
  await transaction`
    DELETE FROM audittrail_audit_pending
    WHERE id IN (SELECT value::bigint FROM json_array_elements_text(${JSON.stringify(accepted.map(({ id }) => id))}::text::json))`
  const written = await transaction`
    INSERT INTO audittrail_audit_events
      (index, leaf, hash, seal, process, n, time, type, by_id, about_id, outcome, by_private, about_private)
    SELECT index, leaf, decode(hash, 'hex'), decode(seal, 'hex'), process, n, time, type, "byId", "aboutId", outcome, "byPrivate", "aboutPrivate"
    FROM json_to_recordset(${JSON.stringify(accepted.map(hexed))}::text::json) AS given (
      index bigint, leaf text, hash text, seal text, process text, n bigint, time timestamptz, type text, "byId" uuid, "aboutId" uuid,
      outcome text, "byPrivate" text, "aboutPrivate" text)
    RETURNING sha256('\\x00'::bytea || convert_to(leaf, 'UTF8')) = hash AS is_whole`
  // What was hashed and what was stored must be the same bytes, or the log could never be verified.
  if (written.length !== accepted.length || !written.every(({ is_whole }) => is_whole))
    throw new Error('The stored events differ from the hashed ones.')
}

function hexed({ mac: _, id: __, ...event }: SequencedEvent) {
  return { ...event, hash: event.hash.toString('hex'), seal: event.seal.toString('hex') }
}
