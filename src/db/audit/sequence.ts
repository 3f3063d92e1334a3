import type { PendingQuery, Row, TransactionSql } from 'postgres'
import { databaseFailure } from '../failure.ts'
import type { Client } from '../pool/connection.ts'
import type { Batch, PendingEvent } from './batch.ts'
import { type FailedAttempt, withoutRejected } from './rejectedRows.ts'
import { writeBatch } from './writeBatch.ts'

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
  /** Records below it were pruned. */
  readonly minimumIndex: number
  /** Pending events from before it may be copies of pruned records. */
  readonly prunedBefore: Date | undefined
}

export interface SequenceInput {
  readonly head: StoredHead
  readonly pending: readonly PendingEvent[]
  /** The `process n` of pending events that are in the log already. */
  readonly known: ReadonlySet<string>
}

/** An advisory lock: "auditlog" as eight ASCII bytes. */
export const sequencerLock = '7022629598041763687'
export const batchSize = 512

export interface SequenceSetting {
  /** The name of a new log. */
  readonly origin: string
  readonly now: Date
  readonly widthsOf: (size: number) => readonly number[]
  /** Called with the ids of rows that the database rejects, once they are set aside. */
  readonly onRejected: (ids: readonly string[], error: unknown) => void
}

type Plan = (input: SequenceInput) => Batch | undefined

/**
 * Moves pending events into the log in one transaction, as `plan` says, unless another process is
 * doing so. Returns the number of events taken, or undefined if it was locked out. The lock makes
 * the order; the primary key alone keeps two sequencers apart.
 */
export async function sequenceBatch(client: Client, setting: SequenceSetting, plan: Plan): Promise<number | undefined> {
  try {
    return await attempt(client, setting, plan)
  } catch (error) {
    if (databaseFailure(error).code === 'unavailable') throw error
    const rejected: string[] = []
    const taken = await attempt(client, setting, plan, { error, rejected })
    if (rejected.length > 0) setting.onRejected(rejected, databaseFailure(error))
    return taken
  }
}

async function attempt(
  client: Client,
  { origin, now, widthsOf }: SequenceSetting,
  plan: Plan,
  failed?: FailedAttempt,
): Promise<number | undefined> {
  return client.begin('isolation level read committed', async (transaction) => {
    // Its own statement: a snapshot taken with it would be older than the lock.
    const [lock] = await transaction`SELECT pg_try_advisory_xact_lock(${sequencerLock}::bigint) AS held`
    if (!lock?.held) return undefined
    await transaction`SET LOCAL synchronous_commit = on`
    const head = await readHead(transaction, widthsOf, origin)
    const pending = await lockPending(transaction)
    const keys = JSON.stringify(pending.map(({ process, n }) => ({ process, n })))
    const rows = await transaction`
      SELECT process, n::text AS n FROM json_to_recordset(${keys}::text::json) AS given (process text, n bigint)
      JOIN audittrail_audit_events USING (process, n)`
    const known = new Set(rows.map(({ process, n }) => `${process} ${n}`))
    const planned = plan({ head, pending, known })
    if (!planned) return 0
    const batch = failed
      ? await withoutRejected(transaction, planned, failed, (rest) => plan({ head, pending: rest, known }))
      : planned
    if (!head.isNamed && batch.accepted.length > 0)
      await transaction`INSERT INTO audittrail_audit_state (id, origin) VALUES (1, ${origin})`
    await writeBatch(transaction, batch, now)
    return pending.length
  }) as Promise<number | undefined>
}

/**
 * Locks the next rows. Refused ones have their turn when there are no others, so that they cannot
 * keep those out of the log.
 */
async function lockPending(transaction: TransactionSql): Promise<PendingEvent[]> {
  const lock = (condition: PendingQuery<Row[]>) => transaction`
    SELECT ${pendingColumns(transaction)} FROM audittrail_audit_pending WHERE ${condition}
    ORDER BY audittrail_audit_pending.id LIMIT ${batchSize} FOR UPDATE SKIP LOCKED`
  const rows = await lock(transaction`refused_at IS NULL`)
  const due = transaction`refused_at NOT BETWEEN now() - interval '1 minute' AND now()`
  return (rows.length > 0 ? rows : await lock(due)).map(pendingOf)
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
    SELECT state.origin, state.minimum_index::text AS minimum, newest.size::text AS size, newest.note,
           (extract(epoch FROM state.pruned_before) * 1000)::double precision::text AS pruned_before,
           (SELECT max(index)::text FROM audittrail_audit_events) AS last
    FROM (SELECT) AS one
    LEFT JOIN audittrail_audit_state state ON state.id = 1
    LEFT JOIN (SELECT size, note FROM audittrail_audit_checkpoints ORDER BY size DESC LIMIT 1) newest ON true`
  const size = clamped(row?.size ?? 0)
  const edge = await readEdge(client, widthsOf(size), size)
  return {
    origin: row?.origin ?? firstOrigin,
    isNamed: typeof row?.origin === 'string',
    size,
    note: row?.note ?? undefined,
    lastIndex: clamped(row?.last ?? -1),
    edge,
    minimumIndex: clamped(row?.minimum ?? 0),
    prunedBefore: row?.pruned_before == null ? undefined : new Date(Number(row.pruned_before)),
  }
}

/** Reads the hashes on the right edge of the tree of a size: for each level, this many. */
export async function readEdge(
  client: Client | TransactionSql,
  widths: readonly number[],
  size: number,
): Promise<Buffer[][]> {
  const edge: Buffer[][] = []
  let rest = size
  for (const [level, width] of widths.entries()) {
    const table =
      level === 0 ? client`audittrail_audit_events WHERE true` : client`audittrail_audit_nodes WHERE level = ${level}`
    const rows = await client`
      SELECT encode(hash, 'hex') AS hash FROM ${table} AND index >= ${rest - width}::bigint AND index < ${rest}::bigint ORDER BY index`
    edge.push(rows.map(({ hash }) => Buffer.from(hash, 'hex')))
    rest = Math.floor(rest / 256)
  }
  return edge
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

/**
 * Returns whether the log has not begun. Runs in a transaction, whose lock keeps sequencers out.
 */
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
 * Renames the log, with a signature of its head under the new name. Runs in a transaction, whose
 * lock keeps sequencers out.
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
