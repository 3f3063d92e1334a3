import type { TransactionSql } from 'postgres'
import { AppError } from '../../error.ts'
import type { Client } from '../pool/connection.ts'
import { adoptUsers, hasTable } from './adopt.ts'
import { bundledMigrations } from './bundled.ts' with { type: 'macro' }
import type { Migration } from './bundled.ts'

export interface MigrationReport {
  readonly applied: number
  /** A `users` table of another program was adopted. */
  readonly adopted: boolean
}

export interface MigrationStatus {
  readonly applied: number
  readonly pending: number
  /** Migrations of a newer version. An older version runs next to it during a rollout. */
  readonly newer: number
}

/** Our advisory lock, which is per database: "audittra" as eight ASCII bytes. */
const lockKey = 0x6175646974747261n.toString()

const migrations = bundledMigrations() as unknown as Migration[]

/** Returns the state of the database's migrations. Changes nothing and takes no lock. */
export async function migrationStatus(client: Client): Promise<MigrationStatus> {
  return compare(await listApplied(client))
}

/**
 * Applies pending migrations in one transaction under an advisory lock, so that concurrent starts
 * are safe and a crash leaves nothing half done. Needs only read access if none are pending.
 */
export async function migrate(client: Client): Promise<MigrationReport> {
  await requireUtf8(client)
  if (compare(await listApplied(client)).pending === 0) return { applied: 0, adopted: false }
  // Read committed, to see what was committed during the wait for the lock.
  return client.begin('isolation level read committed', async (transaction) => {
    // The connection's time limits are for requests, not for the wait for another replica's
    // migration.
    await transaction`
      SELECT set_config(name, '0', true) FROM unnest(ARRAY['statement_timeout', 'lock_timeout', 'transaction_timeout']) AS name
      WHERE current_setting(name, true) IS NOT NULL`
    await transaction`SELECT pg_advisory_xact_lock(${lockKey}::bigint)`
    const applied = await listApplied(transaction)
    refuseChangedMigrations(applied)
    if (applied === undefined) await createRecord(transaction)
    const adopted = applied === undefined && (await adoptUsers(transaction))
    const known = new Set(applied?.map((row) => row.createdAt))
    const pending = migrations.filter((migration) => !known.has(migration.createdAt))
    for (const [index, migration] of pending.entries()) {
      // An adopted table already has the result of the first migration.
      if (!(adopted && index === 0)) await apply(transaction, migration)
      await transaction`INSERT INTO audittrail_migrations (created_at, hash) VALUES (${String(migration.createdAt)}, ${migration.hash})`
    }
    return { applied: pending.length, adopted }
  }) as Promise<MigrationReport>
}

/** Other encodings cannot hold every name and user agent. */
async function requireUtf8(client: Client): Promise<void> {
  const [row] = await client`SELECT current_setting('server_encoding') AS encoding`
  if (row?.encoding !== 'UTF8') {
    throw new AppError(
      'refused',
      `The database has encoding ${row?.encoding}, but AuditTrail needs UTF8. Use a database created with ENCODING 'UTF8'.`,
    )
  }
}

interface AppliedMigration {
  readonly createdAt: number
  readonly hash: string
}

/** Returns undefined if none of our migrations was ever applied. */
async function listApplied(client: Client | TransactionSql): Promise<AppliedMigration[] | undefined> {
  if (!(await hasTable(client, 'audittrail_migrations'))) return undefined
  const rows = await client`SELECT created_at, hash FROM audittrail_migrations ORDER BY created_at`
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

async function apply(transaction: TransactionSql, migration: Migration): Promise<void> {
  for (const statement of migration.statements) await transaction.unsafe(statement)
}
