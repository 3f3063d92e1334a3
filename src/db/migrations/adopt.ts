import type { TransactionSql } from 'postgres'
import { AppError } from '../../error.ts'
import type { Client } from '../pool/connection.ts'

interface Column {
  readonly name: string
  /** PostgreSQL's own name: `uuid`, `character varying(50)`. */
  readonly type: string
  readonly nullable: boolean
  readonly hasDefault: boolean
}

/** The shape of `users` in the FastAPI + SQLAlchemy original. Widths may differ. */
const expected: Readonly<Record<string, RegExp>> = {
  id: /^uuid$/,
  username: /^(character varying|text)/,
  hashed_password: /^(character varying|text)/,
  full_name: /^(character varying|text)/,
  is_active: /^boolean$/,
}

/** Columns that we add, unless the table already has them. */
const ours: Readonly<Record<string, RegExp>> = {
  roles: /^text\[\]$/,
  must_change_password: /^boolean$/,
  created_at: /^timestamp/,
}

/**
 * Adopts a `users` table of another program: gives it the shape of our first migration and keeps
 * each row. Returns false if there is no such table. Throws `refused` if its shape differs from the
 * original's.
 */
export async function adoptUsers(transaction: TransactionSql): Promise<boolean> {
  if (!(await hasTable(transaction, 'users'))) return false
  await transaction`LOCK TABLE users IN ACCESS EXCLUSIVE MODE`
  const columns = await listColumns(transaction)
  requireSupportedShape(columns)
  await refuseDuplicates(transaction)
  await rejectNulls(transaction, columns)
  await addColumns(transaction, columns)
  await addDefaults(transaction, columns)
  await widenColumns(transaction, columns)
  await addKeys(transaction)
  return true
}

/**
 * Returns whether the search path finds a table. Reads the catalog: to_regclass() uses a cache that
 * a wait for another transaction does not refresh.
 */
export async function hasTable(client: Client | TransactionSql, name: string): Promise<boolean> {
  const rows =
    await client`SELECT FROM pg_class WHERE relname = ${name} AND relkind IN ('r', 'p') AND pg_table_is_visible(oid)`
  return rows.length > 0
}

async function listColumns(transaction: TransactionSql): Promise<Column[]> {
  const rows = await transaction`
    SELECT attname AS name, format_type(atttypid, atttypmod) AS type, NOT attnotnull AS nullable,
           atthasdef OR attidentity <> '' AS has_default
    FROM pg_attribute WHERE attrelid = 'users'::regclass AND attnum > 0 AND NOT attisdropped`
  return rows.map((row) => ({ name: row.name, type: row.type, nullable: row.nullable, hasDefault: row.has_default }))
}

function requireSupportedShape(columns: Column[]): void {
  for (const [name, type] of Object.entries(expected)) {
    const column = columns.find((candidate) => candidate.name === name)
    if (!column) throw refusal(`it has no column ${name}`)
    if (!type.test(column.type)) throw refusal(`its column ${name} is of type ${column.type}`)
  }
  for (const column of columns) {
    if (ours[column.name]?.test(column.type) === false)
      throw refusal(`its column ${column.name} is of type ${column.type}`)
    const isForeign = !(column.name in expected) && !(column.name in ours)
    if (isForeign && !column.nullable && !column.hasDefault) {
      throw refusal(`its column ${column.name} is NOT NULL without a default, so no user could be added`)
    }
  }
}

function refusal(reason: string): AppError {
  return new AppError(
    'refused',
    `The database has a table "users" that AuditTrail cannot adopt: ${reason}. Change it, or give AuditTrail its own database or schema.`,
  )
}

/** Usernames that differ only in case would become one account. */
async function refuseDuplicates(transaction: TransactionSql): Promise<void> {
  const [duplicates] = await transaction`
    SELECT string_agg(quote_ident(username), ' and ' ORDER BY username) AS names
    FROM users GROUP BY lower(username COLLATE "C") HAVING count(*) > 1 ORDER BY lower(username COLLATE "C") LIMIT 1`
  if (duplicates) {
    throw new AppError(
      'refused',
      `The usernames ${duplicates.names} differ only in case, which AuditTrail ignores. Rename all but one, then start again.`,
    )
  }
}

async function rejectNulls(transaction: TransactionSql, columns: Column[]): Promise<void> {
  for (const { name, nullable } of columns) {
    if (!nullable || !(name in expected) || name === 'is_active') continue
    const [row] = await transaction`SELECT EXISTS (SELECT FROM users WHERE ${transaction(name)} IS NULL) AS found`
    if (row?.found) {
      throw new AppError(
        'refused',
        `The table "users" has rows without ${name}. Fill or remove them, then start again.`,
      )
    }
    await transaction`ALTER TABLE users ALTER COLUMN ${transaction(name)} SET NOT NULL`
  }
}

async function addColumns(transaction: TransactionSql, columns: Column[]): Promise<void> {
  // Python's utcnow() stores a time without zone.
  if (columns.some(({ name, type }) => name === 'created_at' && type.includes('without time zone'))) {
    await transaction`ALTER TABLE users ALTER COLUMN created_at DROP DEFAULT`
    await transaction`ALTER TABLE users ALTER COLUMN created_at TYPE timestamptz USING created_at AT TIME ZONE 'UTC'`
  }
  const defaults = {
    roles: `text[] DEFAULT '{}'`,
    must_change_password: 'boolean DEFAULT false',
    created_at: 'timestamptz DEFAULT now()',
  }
  for (const [name, definition] of Object.entries(defaults)) {
    const value = definition.slice(definition.indexOf('DEFAULT'))
    if (columns.some((column) => column.name === name)) {
      await transaction.unsafe(`ALTER TABLE users ALTER COLUMN ${name} SET ${value}`)
      await transaction.unsafe(`UPDATE users SET ${name} = DEFAULT WHERE ${name} IS NULL`)
      await transaction.unsafe(`ALTER TABLE users ALTER COLUMN ${name} SET NOT NULL`)
    } else {
      await transaction.unsafe(`ALTER TABLE users ADD COLUMN ${name} ${definition} NOT NULL`)
    }
  }
}

/**
 * SQLAlchemy sets defaults in Python, so the table has none. NULL in `is_active` means inactive.
 */
async function addDefaults(transaction: TransactionSql, columns: Column[]): Promise<void> {
  await transaction`ALTER TABLE users ALTER COLUMN id SET DEFAULT gen_random_uuid(), ALTER COLUMN is_active SET DEFAULT true`
  if (columns.some((column) => column.name === 'is_active' && column.nullable)) {
    await transaction`UPDATE users SET is_active = false WHERE is_active IS NULL`
    await transaction`ALTER TABLE users ALTER COLUMN is_active SET NOT NULL`
  }
}

/** Our hashes have about 100 characters. A narrower column would break the next password change. */
async function widenColumns(transaction: TransactionSql, columns: Column[]): Promise<void> {
  const widths = { username: 50, hashed_password: 255, full_name: 100 }
  for (const [name, width] of Object.entries(widths)) {
    const type = columns.find((column) => column.name === name)?.type ?? ''
    const current = /\((\d+)\)/.exec(type)?.[1]
    if (current === undefined || Number(current) >= width) continue
    await transaction.unsafe(`ALTER TABLE users ALTER COLUMN ${name} TYPE varchar(${width})`)
  }
}

async function addKeys(transaction: TransactionSql): Promise<void> {
  const [keys] = await transaction`
    SELECT bool_or(indisprimary) AS primary_key, bool_or(indisunique AND indkey::text = (
      SELECT attnum::text FROM pg_attribute WHERE attrelid = 'users'::regclass AND attname = 'username')) AS unique_username
    FROM pg_index WHERE indrelid = 'users'::regclass`
  if (!keys?.primary_key) await transaction`ALTER TABLE users ADD PRIMARY KEY (id)`
  if (!keys?.unique_username)
    await transaction`ALTER TABLE users ADD CONSTRAINT users_username_unique UNIQUE (username)`
  await transaction`CREATE UNIQUE INDEX users_username_lower_unique ON users (lower(username COLLATE "C"))`
}
