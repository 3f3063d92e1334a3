import { setTimeout as wait } from 'node:timers/promises'
import type { TransactionSql } from 'postgres'
import { AppError } from '../../error.ts'
import type { Client } from '../pool/connection.ts'
import type { Pool } from '../pool/pool.ts'
import { adoptUsers } from './adopt.ts'
import type { Blocker, Session } from './blocker.ts'
import { findBlockers } from './blockers.ts'
import { bundledMigrations } from './bundled.ts' with { type: 'macro' }
import type { Migration } from './bundled.ts'
import { completeIndexes as complete, isForLater } from './indexes.ts'
import { elsewhere, privilegeBlockers } from './privileges.ts'
import { findUsersTable, hasTable } from './usersTable.ts'

export interface MigrationReport {
  readonly applied: number
  /** The users of another program's table, which was adopted. Undefined: none was. */
  readonly adopted: number | undefined
  /** The database had no migrations before. */
  readonly isNew: boolean
  /** A hint, if tables were created although another schema has suitable ones. */
  readonly note?: string
}

export interface MigrationStatus {
  readonly applied: number
  readonly pending: number
  /** Migrations of a newer version. An older version runs next to it during a rollout. */
  readonly newer: number
}

/** Our advisory lock, which is per database: "audittra" as eight ASCII bytes. */
const lockKey = 0x6175646974747261n.toString()

/**
 * Milliseconds that a migration waits for a table. Others queue behind it, so it gives up, and
 * tries again after a pause, while a long transaction such as a dump uses the table.
 */
const lockWait = 1000
const lockPause = 1000
const lockTimedOut = '55P03'

export const migrations = bundledMigrations() as unknown as Migration[]

/** Returns the state of the database's migrations. Changes nothing and takes no lock. */
export async function migrationStatus(session: Session): Promise<MigrationStatus> {
  return compare(await listApplied(session))
}

/**
 * Applies pending migrations in one transaction under an advisory lock, so that concurrent starts
 * are safe and a crash leaves nothing half done. Needs only read access if none are pending.
 */
export async function migrate(client: Client, isEmbedded = false): Promise<MigrationReport> {
  if (compare(await listApplied(client)).pending === 0) return { applied: 0, adopted: undefined, isNew: false }
  for (;;) {
    try {
      // Read committed, to see what was committed during the wait for the lock.
      return (await client.begin('isolation level read committed', (transaction) =>
        applyPending(transaction, isEmbedded),
      )) as MigrationReport
    } catch (error) {
      if ((error as { code?: string }).code !== lockTimedOut) throw await withPrivileges(client, error)
      await wait(lockPause)
    }
  }
}

/**
 * Builds and drops indexes of large tables, which a migration leaves for later, except in the
 * embedded database. Returns how many remain. Leaves the indexes of a newer version alone.
 */
export async function completeIndexes(pool: Pool): Promise<number> {
  if (pool.kind === 'embedded') return 0
  const { pending, newer } = await pool.run(({ client }) => migrationStatus(client))
  return pending === 0 && newer === 0 ? complete(pool, migrations) : 0
}

async function applyPending(transaction: TransactionSql, isEmbedded: boolean): Promise<MigrationReport> {
  // The connection's time limits are for requests, not for the wait for another replica's
  // migration.
  await transaction`
    SELECT set_config(name, '0', true) FROM unnest(ARRAY['statement_timeout', 'lock_timeout', 'transaction_timeout']) AS name
    WHERE current_setting(name, true) IS NOT NULL`
  await transaction`SELECT pg_advisory_xact_lock(${lockKey}::bigint)`
  await transaction`SELECT set_config('lock_timeout', ${String(lockWait)}, true)`
  const applied = await listApplied(transaction)
  refuseChangedMigrations(applied)
  const { adopted, note } = applied === undefined ? await prepareNew(transaction) : {}
  const known = new Set(applied?.map((row) => row.createdAt))
  const pending = migrations.filter((migration) => !known.has(migration.createdAt))
  for (const [index, migration] of pending.entries()) {
    // An adopted table already has the result of the first migration.
    if (!(adopted !== undefined && index === 0)) await apply(transaction, migration, isEmbedded)
    await transaction`INSERT INTO audittrail_migrations (created_at, hash) VALUES (${String(migration.createdAt)}, ${migration.hash})`
  }
  return { applied: pending.length, adopted, isNew: applied === undefined, ...(note ? { note } : {}) }
}

interface Preparation {
  /** How many users were adopted. */
  readonly adopted?: number
  readonly note?: string
}

/** Throws `refused` with what is in the way. */
async function prepareNew(transaction: TransactionSql): Promise<Preparation> {
  const { table, blockers } = await findBlockers(
    transaction,
    migrations,
    () => transaction`LOCK TABLE users IN ACCESS EXCLUSIVE MODE`,
  )
  if (blockers.length > 0) throw refusal(blockers, table !== undefined)
  await createRecord(transaction)
  return table ? { adopted: await adoptUsers(transaction, table) } : { note: await elsewhere(transaction) }
}

function refusal(blockers: readonly Blocker[], isAdoption: boolean): AppError {
  const [first, ...others] = blockers
  const { problem = '', rows, sql = [], afterwards } = first ?? {}
  const subject = isAdoption ? 'The table "users" cannot be adopted' : 'The database cannot be migrated'
  // Rows are to be reviewed, and what is restored afterwards must be kept.
  const fix = sql.length === 1 && !rows && !afterwards ? ` This removes the problem: ${sql[0]}` : ''
  const more =
    others.length === 0
      ? ''
      : ` There ${others.length === 1 ? 'is 1 more problem' : `are ${others.length} more problems`}.`
  return new AppError('refused', `${subject}: ${problem}.${fix}${more} "audittrail adopt --check" lists everything.`)
}

/** Replaces a lack of privileges by the SQL that grants them. */
async function withPrivileges(client: Client, error: unknown): Promise<unknown> {
  const { code } = error as { code?: string }
  if (code !== '42501' && code !== '3F000') return error
  const table = await findUsersTable(client)
  const blockers = await privilegeBlockers(client, table)
  return blockers.length > 0 ? refusal(blockers, false) : error
}

interface AppliedMigration {
  readonly createdAt: number
  readonly hash: string
}

/** Returns undefined if none of our migrations was ever applied. */
async function listApplied(session: Session): Promise<AppliedMigration[] | undefined> {
  if (!(await hasTable(session, 'audittrail_migrations'))) return undefined
  const rows = await session`SELECT created_at, hash FROM audittrail_migrations ORDER BY created_at`
  return rows.map((row) => ({ createdAt: Number(row.created_at), hash: String(row.hash) }))
}

function compare(applied: AppliedMigration[] = []): MigrationStatus {
  const bundled = new Set(migrations.map((migration) => migration.createdAt))
  const known = applied.filter((row) => bundled.has(row.createdAt)).length
  return { applied: known, pending: migrations.length - known, newer: applied.length - known }
}

function refuseChangedMigrations(applied: AppliedMigration[] = []): void {
  const recorded = new Map(applied.map((row) => [row.createdAt, row.hash]))
  const changed = migrations.some(({ createdAt, hash }) => (recorded.get(createdAt) ?? hash) !== hash)
  if (changed) {
    throw new AppError(
      'refused',
      'The database was migrated by a different build of AuditTrail with other migrations. Use that build, or another database.',
    )
  }
}

async function createRecord(transaction: TransactionSql): Promise<void> {
  await transaction`
    CREATE TABLE audittrail_migrations (
      created_at bigint PRIMARY KEY,
      hash text NOT NULL,
      applied_at timestamptz NOT NULL DEFAULT now()
    )`
}

async function apply(transaction: TransactionSql, migration: Migration, isEmbedded: boolean): Promise<void> {
  for (const statement of migration.statements)
    if (isEmbedded || !(await isForLater(transaction, statement))) await transaction.unsafe(statement)
}
