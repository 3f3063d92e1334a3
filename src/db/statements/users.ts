import { and, eq, getTableColumns, gt, or, sql } from 'drizzle-orm'
import { guarded } from '../failure.ts'
import type { Orm } from '../pool/connection.ts'
import { sessions, signIns, users } from '../schema.ts'
import { matches } from '../userSearch.ts'

export type User = typeof users.$inferSelect
export type UserStatements = ReturnType<typeof userStatements>

/** The next page starts after `sort_key`. */
export type ListedUser = User & { readonly sort_key: string; readonly last_sign_in_at: Date | null }

export interface UserPage {
  /** The `sort_key` that the page starts after. */
  readonly after: string | undefined
  readonly limit: number
  /** The start of a username or of a word of a full name. */
  readonly search: string | undefined
}

/** ASCII lower case in byte order, whatever the collation of the database. */
const lowered = sql<string>`lower(${users.username} COLLATE "C")`
export const isAdministrator = sql`'admin' = ANY (${users.roles})`
/** Older versions beside this one record only sessions. */
const lastSignIn = sql<Date | null>`greatest(
  (SELECT last_at FROM ${signIns} WHERE ${signIns.user_id} = ${users.id}),
  (SELECT max(created_at) FROM ${sessions} WHERE ${sessions.user_id} = ${users.id}))`.mapWith(signIns.last_at)

export function userStatements(orm: Orm) {
  const byUsername = orm
    .select()
    .from(users)
    .where(eq(lowered, sql`lower(${sql.placeholder('username')} COLLATE "C")`))
    .limit(1)
    .prepare('find_user_by_username')
  const quarantinedAdministrators = orm
    .select({ username: users.username })
    .from(users)
    .where(and(users.must_change_password, users.is_active, isAdministrator))
    .limit(10)
    .prepare('list_quarantined_administrators')

  return {
    /** Finds a user by name, compared without case. */
    findUserByUsername: (username: string): Promise<User | undefined> =>
      guarded(async () => (await byUsername.execute({ username }))[0]),

    /** Returns whether a new user of this name would be a duplicate, in any case or by its collation. */
    isUsernameTaken: (username: string): Promise<boolean> =>
      guarded(async () => {
        const isSame = or(eq(lowered, sql`lower(${username} COLLATE "C")`), eq(users.username, username))
        return (await orm.select({ id: users.id }).from(users).where(isSame).limit(1)).length === 1
      }),

    findUser: (id: string): Promise<User | undefined> =>
      guarded(async () => (await orm.select().from(users).where(eq(users.id, id)))[0]),

    /** Lists at most ten active administrators whose password someone else has set. */
    listQuarantinedAdministrators: (): Promise<string[]> =>
      guarded(async () => (await quarantinedAdministrators.execute()).map((user) => user.username)),

    /** Lists one page, ordered by username without case. */
    listUsers: ({ after, limit, search }: UserPage): Promise<ListedUser[]> =>
      guarded(async () =>
        orm
          .select({ ...getTableColumns(users), sort_key: lowered, last_sign_in_at: lastSignIn })
          .from(users)
          .where(
            and(
              after === undefined ? undefined : gt(lowered, after),
              search === undefined ? undefined : matches(search, await hasTrigrams(orm)),
            ),
          )
          .orderBy(lowered)
          .limit(limit),
      ),
  }
}

/** Returns whether an index on substrings can exist. */
async function hasTrigrams(orm: Orm): Promise<boolean> {
  return (await orm.execute(sql`SELECT FROM pg_extension WHERE extname = 'pg_trgm'`)).length === 1
}
