import type { TransactionSql } from 'postgres'
import { databaseFailure } from '../failure.ts'
import type { Client } from '../pool/connection.ts'
import type { Blocker } from './blocker.ts'
import { findBlockers } from './blockers.ts'
import { addedColumns, originalColumns } from './blockingShape.ts'
import { migrationStatus, migrations } from './migrate.ts'
import { elsewhere } from './privileges.ts'
import { checkSchema, schemaBlockers } from './schemaCheck.ts'
import { findUsersTable, hasTable, narrowColumns, type UsersTable } from './usersTable.ts'

/** What `adopt --check` finds in a database. */
export interface Inspection {
  /** `adoptable`: there is a `users` table of another program, perhaps with blockers. */
  readonly state: 'empty' | 'adoptable' | 'migrated'
  readonly table?: FoundTable
  readonly blockers: readonly Blocker[]
  /** What to know, although nothing is in the way. */
  readonly notes: readonly string[]
}

export interface FoundTable {
  /** Qualified. */
  readonly name: string
  readonly kind: string
  readonly owner: string
  /** Undefined if the role may not read it. */
  readonly users: number | undefined
  readonly otherColumns: readonly string[]
  readonly addedColumns: readonly string[]
  readonly changedColumns: readonly string[]
}

/** Hashes per round trip. */
const pageSize = 5000

/**
 * Inspects a database in a read-only transaction. Passes every password hash to `take`. Waits for
 * no lock and keeps no writer from working.
 */
export async function inspect(client: Client, take: (hashes: readonly string[]) => void): Promise<Inspection> {
  try {
    return (await client.begin('isolation level repeatable read read only', async (transaction) => {
      await transaction`
        SELECT set_config(name, '0', true)
        FROM unnest(ARRAY['statement_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout']) AS name
        WHERE current_setting(name, true) IS NOT NULL`
      const inspection = await inspectIn(transaction)
      if (inspection.table?.users !== undefined) await readHashes(transaction, take)
      return inspection
    })) as Inspection
  } catch (error) {
    throw databaseFailure(error)
  }
}

async function inspectIn(transaction: TransactionSql): Promise<Inspection> {
  if (await hasTable(transaction, 'audittrail_migrations')) return inspectMigrated(transaction)
  const { table, blockers } = await findBlockers(transaction, migrations)
  if (!table) {
    const note = await elsewhere(transaction)
    return { state: 'empty', blockers, notes: note === '' ? [] : [note] }
  }
  const usesAlembic = await hasTable(transaction, 'alembic_version')
  return {
    state: 'adoptable',
    table: await describe(transaction, table),
    blockers,
    notes: usesAlembic
      ? [
          'Alembic manages this database. Exclude our tables first, or its next --autogenerate drops them (docs/fastapi.md).',
        ]
      : [],
  }
}

async function inspectMigrated(transaction: TransactionSql): Promise<Inspection> {
  const { pending } = await migrationStatus(transaction)
  const check = await checkSchema(transaction)
  const table = await findUsersTable(transaction)
  return {
    state: 'migrated',
    ...(table ? { table: { ...(await describe(transaction, table)), addedColumns: [], changedColumns: [] } } : {}),
    // Pending migrations create what is missing.
    blockers: schemaBlockers(pending > 0 ? { ...check, missing: [] } : check),
    notes: [
      ...(pending > 0 ? [`Pending migrations: ${pending}. Run "audittrail migrate".`] : []),
      ...check.importGrants.map((sql) => `Only "audittrail import" needs: ${sql}`),
    ],
  }
}

async function describe(transaction: TransactionSql, table: UsersTable): Promise<FoundTable> {
  const { name, kind, owner, isReadable, columns } = table
  const [row] = isReadable ? await transaction.unsafe(`SELECT count(*) AS count FROM ${name}`) : []
  const known = [...Object.keys(originalColumns), ...Object.keys(addedColumns)]
  const has = (column: string) => columns.some((candidate) => candidate.name === column)
  const typeOf = (column: string) => columns.find((candidate) => candidate.name === column)?.type
  return {
    name,
    kind,
    owner,
    users: row ? Number(row.count) : undefined,
    otherColumns: columns.map((column) => column.name).filter((column) => !known.includes(column)),
    addedColumns: Object.keys(addedColumns).filter((column) => !has(column)),
    changedColumns: narrowColumns(columns).map((column) => `${column.name} ${typeOf(column.name)} to ${column.type}`),
  }
}

async function readHashes(transaction: TransactionSql, take: (hashes: readonly string[]) => void): Promise<void> {
  const [column] = await transaction`
    SELECT FROM pg_attribute WHERE attrelid = 'users'::regclass AND attname = 'hashed_password' AND NOT attisdropped`
  if (!column) return
  await transaction`
    DECLARE audittrail_hashes NO SCROLL CURSOR FOR
    SELECT hashed_password::text AS hash FROM users WHERE hashed_password IS NOT NULL`
  for (;;) {
    const rows = await transaction.unsafe(`FETCH ${pageSize} FROM audittrail_hashes`)
    if (rows.length === 0) return
    take(rows.map(({ hash }) => hash))
  }
}
