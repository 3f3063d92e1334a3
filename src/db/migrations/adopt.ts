import type { TransactionSql } from 'postgres'
import { AppError } from '../../error.ts'
import { databaseFailure } from '../failure.ts'
import { type Column, narrowColumns, type UsersTable } from './usersTable.ts'

/**
 * Gives the `users` table of another program the shape of our first migration and keeps each row.
 * Returns the number of users. The table must have no blockers. Throws `refused` with the step that
 * PostgreSQL rejects.
 */
export async function adoptUsers(transaction: TransactionSql, { columns }: UsersTable): Promise<number> {
  // A deferred constraint would keep the table from being altered after an update.
  await transaction`SET CONSTRAINTS ALL IMMEDIATE`
  for (const step of [...requiredColumns(columns), ...addedColumns(columns), ...defaults(columns), ...widened(columns)])
    await alter(transaction, step)
  await addKeys(transaction)
  const [row] = await transaction`SELECT count(*) AS count FROM users`
  return Number(row?.count)
}

/** Names the step, which has no values: PostgreSQL's own message may quote rows. */
async function alter(transaction: TransactionSql, statement: string): Promise<void> {
  try {
    await transaction.unsafe(statement)
  } catch (error) {
    const failure = databaseFailure(error)
    if (failure.code === 'unavailable') throw failure
    const { code } = error as { code?: string }
    throw new AppError(
      'refused',
      `PostgreSQL rejected a step of the adoption (SQLSTATE ${code}), so nothing was changed: ${statement}. Run it by hand to see what is in the way.`,
      { cause: error },
    )
  }
}

function requiredColumns(columns: readonly Column[]): string[] {
  return ['id', 'username', 'hashed_password', 'full_name']
    .filter((name) => columns.some((column) => column.name === name && column.nullable))
    .map((name) => `ALTER TABLE users ALTER COLUMN ${name} SET NOT NULL`)
}

function addedColumns(columns: readonly Column[]): string[] {
  const created = columns.find(({ name }) => name === 'created_at')
  // Python's utcnow() stores UTC without a zone. It is read as UTC, so a default must be UTC too.
  const now = created?.type.includes('without time zone') ? `(now() AT TIME ZONE 'UTC')` : 'now()'
  const definitions = {
    roles: ['text[]', `DEFAULT '{}'`],
    must_change_password: ['boolean', 'DEFAULT false'],
    created_at: ['timestamptz', `DEFAULT ${now}`],
  }
  return Object.entries(definitions).flatMap(([name, [type, value]]) =>
    columns.some((column) => column.name === name)
      ? [
          `ALTER TABLE users ALTER COLUMN ${name} SET ${value}`,
          `UPDATE users SET ${name} = DEFAULT WHERE ${name} IS NULL`,
          `ALTER TABLE users ALTER COLUMN ${name} SET NOT NULL`,
        ]
      : [`ALTER TABLE users ADD COLUMN ${name} ${type} ${value} NOT NULL`],
  )
}

/**
 * SQLAlchemy sets defaults in Python, so the table has none. NULL in `is_active` means inactive.
 */
function defaults(columns: readonly Column[]): string[] {
  const mayBeNull = columns.some(({ name, nullable }) => name === 'is_active' && nullable)
  return [
    'ALTER TABLE users ALTER COLUMN id SET DEFAULT gen_random_uuid(), ALTER COLUMN is_active SET DEFAULT true',
    ...(mayBeNull
      ? [
          'UPDATE users SET is_active = false WHERE is_active IS NULL',
          'ALTER TABLE users ALTER COLUMN is_active SET NOT NULL',
        ]
      : []),
  ]
}

function widened(columns: readonly Column[]): string[] {
  return narrowColumns(columns).map(({ name, type }) => `ALTER TABLE users ALTER COLUMN ${name} TYPE ${type}`)
}

/** Sessions refer to the id, so its index must be whole and checked at once. */
async function addKeys(transaction: TransactionSql): Promise<void> {
  const [keys] = await transaction`
    SELECT coalesce(bool_or(indkey::text = (SELECT attnum::text FROM pg_attribute WHERE attrelid = indrelid AND attname = 'id')), false)
             AS has_unique_id,
           coalesce(bool_or(indkey::text = (SELECT attnum::text FROM pg_attribute WHERE attrelid = indrelid AND attname = 'username')), false)
             AS has_unique_username
    FROM pg_index
    WHERE indrelid = 'users'::regclass AND indisunique AND indimmediate AND indisvalid AND indpred IS NULL AND indexprs IS NULL`
  const [primary] = await transaction`SELECT FROM pg_index WHERE indrelid = 'users'::regclass AND indisprimary`
  if (!keys?.has_unique_id) await alter(transaction, `ALTER TABLE users ADD ${primary ? 'UNIQUE' : 'PRIMARY KEY'} (id)`)
  if (!keys?.has_unique_username)
    await alter(transaction, 'ALTER TABLE users ADD CONSTRAINT users_username_unique UNIQUE (username)')
  await alter(transaction, 'CREATE UNIQUE INDEX users_username_lower_unique ON users (lower(username COLLATE "C"))')
}
