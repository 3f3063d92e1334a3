import type { Row, TransactionSql } from 'postgres'
import type { Client } from '../pool/connection.ts'
import type { EventRow } from './pending.ts'

/** A pending event with its id, which orders the log. */
export interface PendingEvent extends EventRow {
  /** A bigint, since anyone who writes SQL may have chosen it. */
  readonly id: string
  /** When a server last refused it; `future` if no server can have written the time. */
  readonly refused: 'never' | 'past' | 'future'
}

/** The newest checkpoint and the hashes on the right edge of its tree. */
export interface StoredHead {
  readonly origin: string
  /** Whether the database has the name. It has none before the first record. */
  readonly isNamed: boolean
  /** 0 and undefined before the first event. */
  readonly size: number
  readonly note: string | undefined
  /** The highest index in the log; -1 if it is empty. */
  readonly lastIndex: number
  readonly edge: readonly (readonly Buffer[])[]
}

/** What a batch adds to the log. */
export interface Batch {
  readonly accepted: readonly SequencedEvent[]
  /** Ids of rows that were not written by this service. */
  readonly refused: readonly string[]
  readonly nodes: readonly { readonly level: number; readonly index: number; readonly hash: Buffer }[]
  readonly size: number
  readonly root: Buffer
  readonly note: string
}

export interface SequencedEvent extends PendingEvent {
  readonly index: number
  readonly hash: Buffer
  readonly seal: Buffer
  readonly time: string
  readonly type: string
  readonly byId: string | null
  readonly aboutId: string | null
  readonly outcome: string
}

export interface SequenceInput {
  readonly head: StoredHead
  readonly pending: readonly PendingEvent[]
  /** The `process n` of pending events that are in the log already. */
  readonly known: ReadonlySet<string>
}

/** An advisory lock: "auditlog" as eight ASCII bytes. */
const sequencerLock = '7022629598041763687'
export const batchSize = 512

/**
 * Moves pending events into the log in one transaction, as `plan` says, unless another process is
 * doing so. Returns the number of events taken, or undefined if it was locked out. The lock makes
 * the order; the primary key alone keeps two sequencers apart.
 */
export async function sequenceBatch(
  client: Client,
  { origin, now, widthsOf }: { origin: string; now: Date; widthsOf: (size: number) => readonly number[] },
  plan: (input: SequenceInput) => Batch | undefined,
): Promise<number | undefined> {
  return client.begin('isolation level read committed', async (transaction) => {
    // Its own statement: a snapshot taken with it would be older than the lock.
    const [lock] = await transaction`SELECT pg_try_advisory_xact_lock(${sequencerLock}::bigint) AS held`
    if (!lock?.held) return undefined
    await transaction`SET LOCAL synchronous_commit = on`
    const head = await readHead(transaction, widthsOf, origin)
    const rows = await transaction`
      SELECT ${pendingColumns(transaction)} FROM audittrail_audit_pending
      WHERE refused_at IS NULL OR refused_at NOT BETWEEN now() - interval '1 minute' AND now()
      ORDER BY audittrail_audit_pending.id LIMIT ${batchSize} FOR UPDATE SKIP LOCKED`
    const pending = rows.map(pendingOf)
    const keys = JSON.stringify(rows.map(({ process, n }) => ({ process, n })))
    const known = await transaction`
      SELECT process, n::text AS n FROM json_to_recordset(${keys}::text::json) AS given (process text, n bigint)
      JOIN audittrail_audit_events USING (process, n)`
    const batch = plan({ head, pending, known: new Set(known.map(({ process, n }) => `${process} ${n}`)) })
    if (!batch) return 0
    if (!head.isNamed && batch.accepted.length > 0)
      await transaction`INSERT INTO audittrail_audit_state (id, origin) VALUES (1, ${origin})`
    await writeBatch(transaction, batch, now)
    return pending.length
  }) as Promise<number | undefined>
}

/**
 * Reads the newest checkpoint and the right edge of its tree, at most 255 hashes a level. A new log
 * has the name `firstOrigin`.
 */
export async function readHead(
  client: Client | TransactionSql,
  widthsOf: (size: number) => readonly number[],
  firstOrigin = '',
): Promise<StoredHead> {
  const [row] = await client`
    SELECT (SELECT origin FROM audittrail_audit_state WHERE id = 1) AS origin, newest.size::text AS size, newest.note,
           (SELECT max(index)::text FROM audittrail_audit_events) AS last
    FROM (SELECT) AS one
    LEFT JOIN (SELECT size, note FROM audittrail_audit_checkpoints ORDER BY size DESC LIMIT 1) newest ON true`
  const size = clamped(row?.size ?? 0)
  const edge: Buffer[][] = []
  let rest = size
  for (const [level, width] of widthsOf(size).entries()) {
    const table =
      level === 0 ? client`audittrail_audit_events WHERE true` : client`audittrail_audit_nodes WHERE level = ${level}`
    const rows = await client`
      SELECT encode(hash, 'hex') AS hash FROM ${table} AND index >= ${rest - width}::bigint AND index < ${rest}::bigint ORDER BY index`
    edge.push(rows.map(({ hash }) => Buffer.from(hash, 'hex')))
    rest = Math.floor(rest / 256)
  }
  return {
    origin: row?.origin ?? firstOrigin,
    isNamed: typeof row?.origin === 'string',
    size,
    note: row?.note ?? undefined,
    lastIndex: clamped(row?.last ?? -1),
    edge,
  }
}

/** Signs the newest checkpoint again. Runs in a transaction, whose lock keeps sequencers out. */
export async function signHead(
  client: Client | TransactionSql,
  widthsOf: (size: number) => readonly number[],
  sign: (head: StoredHead) => string | undefined,
): Promise<void> {
  await client`SELECT pg_advisory_xact_lock(${sequencerLock}::bigint)`
  const head = await readHead(client, widthsOf)
  const note = sign(head)
  if (note === undefined) return
  await client`UPDATE audittrail_audit_checkpoints SET note = ${note} WHERE size = ${head.size}::bigint`
}

/** Returns whether the log has not begun. Runs in a transaction, whose lock keeps sequencers out. */
export async function isEmptyLog(client: Client | TransactionSql): Promise<boolean> {
  await client`SELECT pg_advisory_xact_lock(${sequencerLock}::bigint)`
  const rows = await client`
    SELECT FROM (SELECT) AS one
    WHERE NOT EXISTS (SELECT FROM audittrail_audit_state) AND NOT EXISTS (SELECT FROM audittrail_audit_checkpoints)
      AND NOT EXISTS (SELECT FROM audittrail_audit_events) AND NOT EXISTS (SELECT FROM audittrail_audit_nodes)`
  return rows.length === 1
}

/** The head of a log that continues under another name. */
export interface AcceptedHead {
  readonly origin: string
  readonly size: number
  readonly root: Buffer
  readonly note: string
}

/**
 * Renames the log, with a signature of its head under the new name. Runs in a transaction, whose lock
 * keeps sequencers out.
 */
export async function continueLog<T extends AcceptedHead>(
  client: Client | TransactionSql,
  { firstOrigin, widthsOf }: { firstOrigin: string; widthsOf: (size: number) => readonly number[] },
  accept: (head: StoredHead) => T,
): Promise<T> {
  await client`SELECT pg_advisory_xact_lock(${sequencerLock}::bigint)`
  const accepted = accept(await readHead(client, widthsOf, firstOrigin))
  const { origin, size, root, note } = accepted
  await client`
    INSERT INTO audittrail_audit_state (id, origin) VALUES (1, ${origin})
    ON CONFLICT (id) DO UPDATE SET origin = excluded.origin`
  await client`
    INSERT INTO audittrail_audit_checkpoints (size, root, note, made_at)
    VALUES (${size}::bigint, decode(${root.toString('hex')}, 'hex'), ${note}, now())
    ON CONFLICT (size) DO UPDATE SET root = excluded.root, note = excluded.note`
  return accepted
}

export function pendingColumns(client: Client | TransactionSql) {
  return client`id::text AS id, process, n::text AS n, leaf, by_private, about_private, encode(mac, 'hex') AS mac,
    CASE WHEN refused_at IS NULL THEN 'never' WHEN refused_at > now() THEN 'future' ELSE 'past' END AS refused`
}

export function pendingOf(row: Row): PendingEvent {
  return {
    id: String(row.id),
    process: String(row.process),
    n: clamped(row.n),
    leaf: String(row.leaf),
    byPrivate: row.by_private,
    aboutPrivate: row.about_private,
    mac: Buffer.from(row.mac, 'hex'),
    refused: row.refused,
  }
}

/** Returns a bigint of the database as a number. Anyone who writes SQL may have chosen it. */
export function clamped(bigint: string | number): number {
  return Math.max(Number.MIN_SAFE_INTEGER, Math.min(Number(bigint), Number.MAX_SAFE_INTEGER))
}

async function writeBatch(transaction: TransactionSql, batch: Batch, now: Date): Promise<void> {
  const { accepted, refused, nodes, size, root, note } = batch
  const at = now.toISOString()
  if (refused.length > 0)
    await transaction`
      UPDATE audittrail_audit_pending SET refused_at = now()
      WHERE id IN (SELECT value::bigint FROM json_array_elements_text(${JSON.stringify(refused)}::text::json))`
  if (accepted.length === 0) return
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

function hexed({ mac: _, id: __, ...event }: SequencedEvent) {
  return { ...event, hash: event.hash.toString('hex'), seal: event.seal.toString('hex') }
}
