import type { TransactionSql } from 'postgres'
import { AppError } from '../../error.ts'
import { type Account, readAccountSetting } from '../audit/accounts.ts'
import { type EventRow, insertEvents } from '../audit/pending.ts'
import { databaseFailure, guarded } from '../failure.ts'
import type { Client } from '../pool/connection.ts'
import { discarded, rejectionOf, uniqueViolation } from '../rejection.ts'
import { repeated } from '../repeat.ts'

/** A user to import. `place` is the line or number in the file; a null ID or time is generated. */
export interface StagedUser {
  readonly place: number
  readonly id: string | null
  readonly username: string
  readonly full_name: string
  readonly hashed_password: string
  readonly is_active: boolean
  readonly roles: readonly string[]
  readonly must_change_password: boolean
  /** In a format that PostgreSQL accepts. */
  readonly created_at: string | null
}

/**
 * A user that was not staged: the database, or an earlier record of the file, has a user of this
 * name or ID.
 */
export interface Duplicate {
  readonly place: number
  readonly field: 'username' | 'id'
  /** Its place; undefined if the user is in the database. */
  readonly earlier: number | undefined
}

/** The most characters that each column of `users` holds; null without a limit. */
export interface ColumnWidths {
  readonly username: number | null
  readonly full_name: number | null
  readonly hashed_password: number | null
}

export interface Staging {
  columnWidths(): Promise<ColumnWidths>
  /** Stages users, invisibly to other sessions. Returns those that cannot be imported. */
  add(users: readonly StagedUser[]): Promise<Duplicate[]>
  /**
   * Inserts all staged users, with the events, or none. `eventsOf` is called once for each part of
   * them. Returns how many. Throws `conflict` if a name or ID has been taken since.
   */
  insertUsers(eventsOf: (part: ImportedPart) => readonly EventRow[]): Promise<number>
}

export interface ImportedUser extends Account {
  readonly full_name: string
}

/**
 * Users that an import has added, and in the first part the seeded administrator that it replaced.
 */
export interface ImportedPart {
  readonly isFirst: boolean
  readonly added: readonly ImportedUser[]
  readonly replaced: readonly ImportedUser[]
  /** Undefined: someone removed it. */
  readonly salt: Buffer | undefined
}

/** Users per INSERT: no statement may occupy the embedded engine for long. */
const insertSize = 5000

/** Creates the temporary table that holds staged users. */
export async function createStaging(
  session: Client | TransactionSql,
  table: string,
  end: '' | 'ON COMMIT DROP',
): Promise<void> {
  await session.unsafe(`
    CREATE TEMP TABLE ${table} (
      place bigint PRIMARY KEY, id uuid UNIQUE, username text NOT NULL, full_name text NOT NULL, hashed_password text NOT NULL,
      is_active boolean NOT NULL, roles text[] NOT NULL, must_change_password boolean NOT NULL, created_at timestamptz
    ) ${end}`)
  await session.unsafe(`CREATE UNIQUE INDEX ON ${table} (lower(username COLLATE "C"))`)
}

/**
 * SQL: whether an imported active administrator replaces the user of the same name. Only the seeded
 * administrator is replaceable: the only user, who still has to choose a password.
 */
const isReplaceable = (user: string, imported: string) => `(
  ${user}.must_change_password AND 'admin' = ANY (${user}.roles) AND ${imported}.is_active AND 'admin' = ANY (${imported}.roles)
  AND lower(${user}.username COLLATE "C") = lower(${imported}.username COLLATE "C")
  AND NOT EXISTS (SELECT FROM users other WHERE other.id <> ${user}.id))`

const columns = 'username, full_name, hashed_password, is_active, roles, must_change_password'

const stateColumns = 'id, username, full_name, roles, is_active, must_change_password, hashed_password'

/**
 * Returns the operations on the staging table. `inTransaction` runs the insert in one transaction.
 */
export function stagingIn(
  session: Client | TransactionSql,
  table: string,
  inTransaction: (insert: (transaction: TransactionSql) => Promise<number>) => Promise<number>,
): Staging {
  const addSql = `
    WITH given AS (
      SELECT * FROM json_to_recordset($1::text::json) AS given (
        place bigint, id uuid, username text, full_name text, hashed_password text, is_active boolean, roles text[],
        must_change_password boolean, created_at timestamptz)
    ), checked AS (
      SELECT given.*,
        EXISTS (SELECT FROM users WHERE lower(users.username COLLATE "C") = lower(given.username COLLATE "C")
          AND NOT ${isReplaceable('users', 'given')}) AS has_name,
        EXISTS (SELECT FROM users WHERE users.id = given.id AND NOT ${isReplaceable('users', 'given')}) AS has_id
      FROM given
    ), staged AS (
      INSERT INTO ${table} (place, id, created_at, ${columns})
      SELECT place, id, created_at, ${columns} FROM checked WHERE NOT has_name AND NOT has_id
      ON CONFLICT DO NOTHING RETURNING place
    )
    SELECT checked.place::int8::text AS place, has_name, has_id, id, username FROM checked
    WHERE NOT EXISTS (SELECT FROM staged WHERE staged.place = checked.place) ORDER BY checked.place`

  return {
    columnWidths: () => guarded(() => readColumnWidths(session)),

    add: (users) =>
      guarded(async () => {
        if (users.length === 0) return []
        const rejected = await session.unsafe(addSql, [JSON.stringify(users)], { prepare: true })
        const duplicates: Duplicate[] = []
        for (const { place, has_name, has_id, id, username } of rejected) {
          if (has_name || has_id) {
            duplicates.push({ place: Number(place), field: has_name ? 'username' : 'id', earlier: undefined })
            continue
          }
          const [earlier] = await session.unsafe(
            `SELECT place::text AS place, lower(username COLLATE "C") = lower($1 COLLATE "C") AS has_name FROM ${table}
             WHERE lower(username COLLATE "C") = lower($1 COLLATE "C") OR id = $2::uuid ORDER BY place LIMIT 1`,
            [username, id],
          )
          const field = earlier?.has_name === false ? 'id' : 'username'
          duplicates.push({ place: Number(place), field, earlier: Number(earlier?.place) })
        }
        return duplicates
      }),

    insertUsers: async (eventsOf) => {
      try {
        return await repeated(
          () =>
            inTransaction(async (transaction) => {
              return insertStaged(transaction, table, eventsOf)
            }),
          Number.POSITIVE_INFINITY,
        )
      } catch (error) {
        const { code, message, reason } = rejectionOf(error, 'store') ?? databaseFailure(error)
        if (reason === uniqueViolation && (await guarded(() => isAnyTaken(session, table))))
          throw new AppError(
            'conflict',
            'Another change took a username or ID of the file during the import. Nothing was imported. Try again.',
          )
        const isRejected = code === 'conflict' || code === 'invalid_fields'
        throw new AppError(code, isRejected ? `${message} Nothing was imported.` : message, { cause: error })
      }
    },
  }
}

/** Returns whether a username or ID of a staged user belongs to another user by now. */
async function isAnyTaken(session: Client | TransactionSql, table: string): Promise<boolean> {
  const isReplaced = isReplaceable('users', 'coming')
  const [row] = await session.unsafe(`
    SELECT EXISTS (
      SELECT FROM ${table} coming JOIN users ON lower(users.username COLLATE "C") = lower(coming.username COLLATE "C")
      WHERE NOT ${isReplaced}) OR EXISTS (
      SELECT FROM ${table} coming JOIN users ON users.id = coming.id WHERE NOT ${isReplaced}) AS is_taken`)
  return row?.is_taken === true
}

async function readColumnWidths(session: Client | TransactionSql): Promise<ColumnWidths> {
  const rows = await session`
    SELECT attname AS name, CASE WHEN atttypid = 'varchar'::regtype AND atttypmod > 4 THEN atttypmod - 4 END AS width
    FROM pg_attribute WHERE attrelid = 'users'::regclass AND attname IN ('username', 'full_name', 'hashed_password')`
  return Object.fromEntries(rows.map(({ name, width }) => [name, width])) as unknown as ColumnWidths
}

/** Inserts the staged users in parts, each with its events. Returns how many. */
async function insertStaged(
  transaction: TransactionSql,
  table: string,
  eventsOf: (part: ImportedPart) => readonly EventRow[],
): Promise<number> {
  const replaced = await deleteReplaced(transaction, table)
  const { salt } = await readAccountSetting(transaction)
  let [total, after] = [0, '0']
  for (;;) {
    const [part] = await transaction.unsafe(
      `WITH part AS (SELECT * FROM ${table} WHERE place > $1::bigint ORDER BY place LIMIT ${insertSize}),
       inserted AS (
         INSERT INTO users (id, created_at, ${columns})
         SELECT coalesce(id, gen_random_uuid()), coalesce(created_at, now()), ${columns} FROM part
         RETURNING ${stateColumns})
       SELECT count(*)::int AS count, max(place)::text AS last,
              (SELECT coalesce(json_agg(inserted), '[]')::text FROM inserted) AS inserted
       FROM part`,
      [after],
    )
    if (!part || part.count === 0) break
    const added: ImportedUser[] = JSON.parse(part.inserted)
    if (added.length < part.count) throw discarded()
    const isFirst = total === 0
    await insertEvents(transaction, eventsOf({ isFirst, added, replaced: isFirst ? replaced : [], salt }))
    total += part.count
    after = part.last
  }
  // Their violations are known before the report, not at the end of the transaction.
  await transaction`SET CONSTRAINTS ALL IMMEDIATE`
  // Marks the database as initialized, so that it is never seeded.
  if (total > 0) await transaction`INSERT INTO audittrail_instance (id) VALUES (1) ON CONFLICT DO NOTHING`
  return total
}

/** Deletes the seeded administrator if an imported one has the name, and returns it. */
async function deleteReplaced(transaction: TransactionSql, table: string): Promise<readonly ImportedUser[]> {
  try {
    const [row] = await transaction.unsafe(`
      WITH deleted AS (
        DELETE FROM users USING ${table} coming WHERE ${isReplaceable('users', 'coming')}
        RETURNING ${stateColumns.split(', ').map((column) => `users.${column}`)})
      SELECT coalesce(json_agg(deleted), '[]')::text AS users FROM deleted`)
    return JSON.parse(row?.users)
  } catch (error) {
    throw rejectionOf(error, 'delete') ?? error
  }
}
