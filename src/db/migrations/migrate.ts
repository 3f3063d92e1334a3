import type { TransactionSql } from 'postgres'
import { AppError } from '../../error.ts'
import type { Client } from '../pool/connection.ts'
import { adoptUsers, hasTable } from './adopt.ts'
import { bundledMigrations } from './bundled.ts' with { type: 'macro' }
import type { Migration } from './bundled.ts'

export interface MigrationReport {
  readonly applied: number
  /** True when a `users` table of another program was taken over. */
  readonly adopted: boolean
}

export interface MigrationStatus {
  readonly applied: number
  readonly pending: number
  /** Migrations that a newer version has applied: an older one runs beside it during a rollout. */
  readonly newer: number
}

/** A key of our own among advisory locks, which are per database: "audittra" as eight bytes of ASCII. */
const lockKey = 0x6175646974747261n.toString()

const migrations = bundledMigrations() as unknown as Migration[]

/** What the database has and what this binary would add. Changes nothing, takes no lock. */
export async function migrationStatus(client: Client): Promise<MigrationStatus> {
  return compare(await listApplied(client))
}

/**
 * Brings the database up to this binary. All of it is one transaction under an advisory lock: many may start at once,
 * and a crash leaves nothing half done. Without pending migrations it needs no
 * more than the right to read.
 */
export async function migrate(client: Client): Promise<MigrationReport> {
  await refuseOtherEncodings(client)
  if (compare(await listApplied(client)).pending === 0) return { applied: 0, adopted: false }
  // Read committed, so that what was committed while we waited for the lock is seen behind it.
  return client.begin('isolation level read committed', async (transaction) => {
    // A server's time limits are meant for requests, not for waiting behind another replica's migration.
    await transaction`SELECT set_config('statement_timeout', '0', true), set_config('lock_timeout', '0', true)`
    await transaction`SELECT pg_advisory_xact_lock(${lockKey}::bigint)`
    const applied = await listApplied(transaction)
    refuseChangedMigrations(applied)
    if (applied === undefined) await createRecord(transaction)
    const adopted = applied === undefined && (await adoptUsers(transaction))
    const known = new Set(applied?.map((row) => row.createdAt))
    const pending = migrations.filter((migration) => !known.has(migration.createdAt))
    for (const [index, migration] of pending.entries()) {
      // An adopted table already is what the first migration makes.
      if (!(adopted && index === 0)) await apply(transaction, migration)
      await transaction`INSERT INTO audittrail_migrations (created_at, hash) VALUES (${String(migration.createdAt)}, ${migration.hash})`
    }
    return { applied: pending.length, adopted }
  }) as Promise<MigrationReport>
}

/** In any other encoding a name or a browser's description may be a text that the database cannot hold. */
async function refuseOtherEncodings(client: Client): Promise<void> {
  const [row] = await client`SELECT current_setting('server_encoding') AS encoding`
  if (row?.encoding !== 'UTF8') {
    throw new AppError(
      'refused',
      `The database is encoded in ${row?.encoding}, and AuditTrail needs UTF8: give it a database made with ENCODING 'UTF8'.`,
    )
  }
}

interface AppliedMigration {
  readonly createdAt: number
  readonly hash: string
}

/** Undefined where this database never saw a migration of ours. */
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
      'The database was migrated by another build of AuditTrail, whose migrations differ from this one: use that build, or another database.',
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
