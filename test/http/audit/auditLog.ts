import { createSequencer } from '../../../src/domain/audit/sequencer.ts'
import type { TestApplication } from '../../application.ts'

/** Moves every committed event of a test application into the log. */
export function sequence({ deps }: TestApplication): Promise<void> {
  return createSequencer(deps, true).run()
}

/** Adds records straight to the log, unsigned. `columns` are SQL for the i-th one. */
export async function fill(
  application: TestApplication,
  count: number,
  columns: {
    readonly type?: string
    readonly time?: string
    readonly by?: string
    readonly about?: string
    readonly outcome?: string
  } = {},
): Promise<void> {
  const { type = "'logout'", by = 'NULL', about = 'NULL', outcome = "'done'" } = columns
  const time = columns.time ?? "timestamptz '2026-01-01T00:00:00Z' + i * interval '1 second'"
  const [last] = await application.sql(
    'SELECT coalesce(max(index) + 1, 0)::integer AS next FROM audittrail_audit_events',
  )
  const part = 2500
  // In parts, since no statement may take more than a few seconds.
  for (let done = 0; done < count; done += part)
    await application.sql(`
      INSERT INTO audittrail_audit_events (index, leaf, hash, seal, process, n, time, type, by_id, about_id, outcome)
      SELECT i, json_build_object('v', 1, 'p', 'p', 'n', i, 'done', 0, 'time', to_char(time, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
          'type', type, 'by', json_build_object('kind', 'user', 'id', by), 'outcome', outcome, 'facts', json_build_object('i', i))::text,
        decode(repeat('00', 32), 'hex'), '', 'p', i, time, type, by::uuid, about::uuid, outcome
      FROM (
        SELECT i, ${time} AS time, ${type} AS type, ${by} AS by, ${about} AS about, ${outcome} AS outcome
        FROM generate_series(${Number(last?.next) + done}::bigint, ${Number(last?.next) + Math.min(done + part, count) - 1}) i) rows`)
  await application.sql('ANALYZE audittrail_audit_events')
}
