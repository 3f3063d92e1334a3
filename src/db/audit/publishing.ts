import { guarded } from '../failure.ts'
import type { Client } from '../pool/connection.ts'
import { clamped } from './sequence.ts'

/** The newest checkpoint. Without `note`, the log has none. */
export interface NewestCheckpoint {
  /** Undefined before the first record. */
  readonly origin: string | undefined
  readonly size: number
  readonly note: string | undefined
}

/** A leaf as an entry of the published log. */
export interface Entry {
  readonly index: number
  readonly leaf: string
  readonly hash: Buffer
  /** Null: there is none, it was erased, or it was not asked for. */
  readonly byPrivate: string | null
  readonly aboutPrivate: string | null
}

type Row = Record<string, string | null>

/** Statements that read what the log publishes. */
export function publishingStatements(client: Client) {
  return {
    newestCheckpoint: (): Promise<NewestCheckpoint> =>
      guarded(async () => {
        const [row] = await client<Row[]>`
          SELECT (SELECT origin FROM audittrail_audit_state WHERE id = 1) AS origin, newest.size::text AS size, newest.note
          FROM (SELECT) AS one
          LEFT JOIN (SELECT size, note FROM audittrail_audit_checkpoints ORDER BY size DESC LIMIT 1) newest ON true`
        return { origin: row?.origin ?? undefined, size: clamped(row?.size ?? 0), note: row?.note ?? undefined }
      }),

    /** Lists leaves from an index on, up to a size, by index. */
    listEntries: (from: number, size: number, limit: number, withPersonal?: 'with personal texts'): Promise<Entry[]> =>
      guarded(async () => {
        const texts = withPersonal
          ? client`by_private, about_private`
          : client`NULL AS by_private, NULL AS about_private`
        const rows = await client<Row[]>`
          SELECT index::text AS index, leaf, encode(hash, 'hex') AS hash, ${texts} FROM audittrail_audit_events
          WHERE index >= ${from}::bigint AND index < ${size}::bigint ORDER BY audittrail_audit_events.index LIMIT ${limit}`
        return rows.map(({ index, leaf, hash, by_private, about_private }) => ({
          index: clamped(index ?? 0),
          leaf: leaf ?? '',
          hash: Buffer.from(hash ?? '', 'hex'),
          byPrivate: by_private ?? null,
          aboutPrivate: about_private ?? null,
        }))
      }),
  }
}
