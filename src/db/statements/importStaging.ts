import type { TransactionSql } from 'postgres'
import { AppError } from '../../error.ts'
import { guarded, violatedConstraint } from '../failure.ts'
import type { Client } from '../pool/connection.ts'

/** A user on the way in. `place` is where in the file; ids and times that are null are made. */
export interface StagedUser {
  readonly place: number
  readonly id: string | null
  readonly username: string
  readonly full_name: string
  readonly hashed_password: string
  readonly is_active: boolean
  readonly roles: readonly string[]
  readonly must_change_password: boolean
  /** As PostgreSQL reads it. */
  readonly created_at: string | null
}

/** A user who was not staged: the name or the id is that of a user of the database, or of an earlier place in the file. */
export interface Duplicate {
  readonly place: number
  readonly field: 'username' | 'id'
  readonly earlier: number | undefined
}

export interface Staging {
  /** Puts users aside; answers those that cannot go in. Nothing is seen of it from outside. */
  add(users: readonly StagedUser[]): Promise<Duplicate[]>
  /** Lets all that was staged in, at once or not at all. Answers how many. Throws `conflict` where a name was taken meanwhile. */
  insertUsers(): Promise<number>
}

/** Users that one statement lets in: in the embedded engine none may take long. */
const insertSize = 5000

/** Makes the table in which users wait: a temporary one, which goes with the session. */
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
 * True where the one user of the database is an administrator whom nobody has taken possession of (as the first start makes
 * one), and an active administrator of the same name comes in: that one takes the place.
 */
const givesWay = (user: string, coming: string) => `(
  ${user}.must_change_password AND 'admin' = ANY (${user}.roles) AND ${coming}.is_active AND 'admin' = ANY (${coming}.roles)
  AND lower(${user}.username COLLATE "C") = lower(${coming}.username COLLATE "C")
  AND NOT EXISTS (SELECT FROM users other WHERE other.id <> ${user}.id))`

const columns = 'username, full_name, hashed_password, is_active, roles, must_change_password'

/** What is done with it. `atOnce` runs its work in one transaction. */
export function stagingIn(
  session: Client | TransactionSql,
  table: string,
  atOnce: (insert: (transaction: TransactionSql) => Promise<number>) => Promise<number>,
): Staging {
  const addSql = `
    WITH given AS (
      SELECT * FROM json_to_recordset($1::text::json) AS given (
        place bigint, id uuid, username text, full_name text, hashed_password text, is_active boolean, roles text[],
        must_change_password boolean, created_at timestamptz)
    ), checked AS (
      SELECT given.*,
        EXISTS (SELECT FROM users WHERE lower(users.username COLLATE "C") = lower(given.username COLLATE "C")
          AND NOT ${givesWay('users', 'given')}) AS has_name,
        EXISTS (SELECT FROM users WHERE users.id = given.id AND NOT ${givesWay('users', 'given')}) AS has_id
      FROM given
    ), staged AS (
      INSERT INTO ${table} (place, id, created_at, ${columns})
      SELECT place, id, created_at, ${columns} FROM checked WHERE NOT has_name AND NOT has_id
      ON CONFLICT DO NOTHING RETURNING place
    )
    SELECT checked.place::int8::text AS place, has_name, has_id, id, username FROM checked
    WHERE NOT EXISTS (SELECT FROM staged WHERE staged.place = checked.place) ORDER BY checked.place`

  return {
    add: (users) =>
      guarded(async () => {
        if (users.length === 0) return []
        const refused = await session.unsafe(addSql, [JSON.stringify(users)], { prepare: true })
        const clashes: Duplicate[] = []
        for (const { place, has_name, has_id, id, username } of refused) {
          if (has_name || has_id) {
            clashes.push({ place: Number(place), field: has_name ? 'username' : 'id', earlier: undefined })
            continue
          }
          const [twin] = await session.unsafe(
            `SELECT place::text AS place, lower(username COLLATE "C") = lower($1 COLLATE "C") AS has_name FROM ${table}
             WHERE lower(username COLLATE "C") = lower($1 COLLATE "C") OR id = $2::uuid ORDER BY place LIMIT 1`,
            [username, id],
          )
          const field = twin?.has_name === false ? 'id' : 'username'
          clashes.push({ place: Number(place), field, earlier: Number(twin?.place) })
        }
        return clashes
      }),

    insertUsers: () =>
      guarded(async () => {
        try {
          return await atOnce((transaction) => insertStaged(transaction, table))
        } catch (error) {
          if (violatedConstraint(error) === undefined) throw error
          throw new AppError(
            'conflict',
            'A name or id of the file was taken by somebody meanwhile: nothing went in. Try again.',
          )
        }
      }),
  }
}

async function insertStaged(transaction: TransactionSql, table: string): Promise<number> {
  await transaction.unsafe(`DELETE FROM users USING ${table} coming WHERE ${givesWay('users', 'coming')}`)
  let [total, after] = [0, '0']
  for (;;) {
    const [part] = await transaction.unsafe(
      `WITH part AS (SELECT * FROM ${table} WHERE place > $1::bigint ORDER BY place LIMIT ${insertSize}),
       inserted AS (
         INSERT INTO users (id, created_at, ${columns})
         SELECT coalesce(id, gen_random_uuid()), coalesce(created_at, now()), ${columns} FROM part)
       SELECT count(*)::int AS count, max(place)::text AS last FROM part`,
      [after],
    )
    if (!part || part.count === 0) break
    total += part.count
    after = part.last
  }
  // A database that has users is not seeded, as after any other beginning.
  if (total > 0) await transaction`INSERT INTO audittrail_instance (id) VALUES (1) ON CONFLICT DO NOTHING`
  return total
}
