import { guarded } from '../failure.ts'
import type { Client } from '../pool/connection.ts'
import { clamped, sequencerLock } from './sequence.ts'

/** The personal texts of a record. */
export interface PersonalTexts {
  readonly index: number
  readonly byId: string | null
  readonly aboutId: string | null
  readonly byPrivate: string | null
  readonly aboutPrivate: string | null
}

/** A pending event whose texts are to be erased. */
export interface PendingErasure {
  readonly id: string
  readonly by: boolean
  readonly about: boolean
  /** The MAC of the event without them. */
  readonly mac: Buffer
}

export interface AgedErasure {
  readonly erased: number
  /** The size of the log. */
  readonly below: number
  /** Where to go on, in microseconds since 1970. Undefined: there are no more. */
  readonly next: AgedPosition | undefined
}

export interface AgedPosition {
  readonly time: string
  readonly index: string
}

/** Types of records that may have the MAC of an entered username. */
const entered = ['login.failed', 'login.throttled']

/**
 * Statements that erase personal texts. All but the lists run in a transaction with their event.
 */
export function erasureStatements(client: Client) {
  return {
    /** Keeps sequencers out until the transaction ends. Returns the size of the log. */
    lockLog: (): Promise<number> =>
      guarded(async () => {
        await client`SELECT pg_advisory_xact_lock(${sequencerLock}::bigint)`
        return sizeOf(client)
      }),

    /** Lists records with personal texts from an index on, those by or about one party if given. */
    listPersonalTexts: (from: number, limit: number, of?: string): Promise<PersonalTexts[]> =>
      guarded(async () => {
        const rows = await client`
          SELECT index::text AS index, by_id::text AS by_id, about_id::text AS about_id, by_private, about_private
          FROM audittrail_audit_events
          WHERE index >= ${from}::bigint AND (by_private IS NOT NULL OR about_private IS NOT NULL)
            ${of === undefined ? client`` : client`AND (by_id = ${of}::uuid OR about_id = ${of}::uuid)`}
          ORDER BY audittrail_audit_events.index LIMIT ${limit}`
        return rows.map((row) => ({
          index: clamped(row.index),
          byId: row.by_id,
          aboutId: row.about_id,
          byPrivate: row.by_private,
          aboutPrivate: row.about_private,
        }))
      }),

    /**
     * Erases the texts by and about a user or API key, and what is known of unknown actors of
     * events about them. Returns how many records had one.
     */
    eraseParty: (id: string): Promise<number> =>
      guarded(async () => {
        const { count } = await client`
          UPDATE audittrail_audit_events SET
            by_private = CASE WHEN by_id IS NULL OR by_id = ${id}::uuid THEN NULL ELSE by_private END,
            about_private = CASE WHEN about_id = ${id}::uuid THEN NULL ELSE about_private END
          WHERE (by_id = ${id}::uuid AND by_private IS NOT NULL)
             OR (about_id = ${id}::uuid AND (about_private IS NOT NULL OR (by_id IS NULL AND by_private IS NOT NULL)))`
        return count
      }),

    /**
     * Erases the texts of sign-ins with these MACs of an entered username. Returns their indexes.
     */
    eraseEntered: (accounts: readonly string[]): Promise<number[]> =>
      guarded(async () => {
        const rows = await client`
          UPDATE audittrail_audit_events SET by_private = NULL
          WHERE by_id IS NULL AND by_private IS NOT NULL
            AND type IN (SELECT json_array_elements_text(${JSON.stringify(entered)}::text::json))
            AND EXISTS (
              SELECT FROM json_array_elements_text(${JSON.stringify(accounts)}::text::json) AS account
              WHERE position('"account":"' || account || '"' in by_private) > 0)
          RETURNING index::text AS index`
        return rows.map(({ index }) => clamped(index)).sort((one, other) => one - other)
      }),

    erasePending: (rows: readonly PendingErasure[]): Promise<void> =>
      guarded(async () => {
        const given = rows.map((row) => ({ ...row, mac: row.mac.toString('hex') }))
        await client`
          UPDATE audittrail_audit_pending SET
            by_private = CASE WHEN given.by THEN NULL ELSE by_private END,
            about_private = CASE WHEN given.about THEN NULL ELSE about_private END,
            mac = decode(given.mac, 'hex')
          FROM json_to_recordset(${JSON.stringify(given)}::text::json) AS given (id bigint, by boolean, about boolean, mac text)
          WHERE audittrail_audit_pending.id = given.id`
      }),

    /**
     * Erases the texts of records older than a time, among the next `limit` records by time. Skips
     * records that another replica is erasing.
     */
    eraseAged: (before: Date, after: AgedPosition, limit: number): Promise<AgedErasure> =>
      guarded(async () => {
        const [row] = await client`
          WITH aged AS MATERIALIZED (
            SELECT time, index, by_private IS NOT NULL OR about_private IS NOT NULL AS has_text
            FROM audittrail_audit_events
            WHERE time < ${before.toISOString()}::timestamptz
              AND ROW(time, index) > ROW(timestamptz 'epoch' + ${after.time}::bigint * interval '1 microsecond', ${after.index}::bigint)
            ORDER BY time, index LIMIT ${limit}),
          locked AS MATERIALIZED (
            SELECT index FROM audittrail_audit_events WHERE index IN (SELECT index FROM aged WHERE has_text)
            FOR UPDATE SKIP LOCKED),
          erased AS (
            UPDATE audittrail_audit_events SET by_private = NULL, about_private = NULL
            WHERE index IN (SELECT index FROM locked) RETURNING 1)
          SELECT (SELECT count(*)::integer FROM erased) AS erased, (SELECT count(*)::integer FROM aged) AS seen,
                 last.index::text AS index, (extract(epoch FROM last.time) * 1000000)::bigint::text AS time
          FROM (SELECT) one LEFT JOIN (SELECT * FROM aged ORDER BY time DESC, index DESC LIMIT 1) last ON true`
        const isCut = row?.seen === limit
        return {
          erased: row?.erased ?? 0,
          below: await sizeOf(client),
          next: isCut ? { time: row.time, index: row.index } : undefined,
        }
      }),
  }
}

async function sizeOf(client: Client): Promise<number> {
  const [row] = await client`SELECT max(index)::text AS last FROM audittrail_audit_events`
  return clamped(row?.last ?? -1) + 1
}
