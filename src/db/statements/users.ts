import { and, eq, getTableColumns, gt, or, type SQL, sql } from 'drizzle-orm'
import { guarded } from '../failure.ts'
import type { Orm } from '../pool/connection.ts'
import { sessions, signIns, users } from '../schema.ts'

export type User = typeof users.$inferSelect
export type UserStatements = ReturnType<typeof userStatements>

/** The next page starts after `sort_key`. */
export type ListedUser = User & { readonly sort_key: string; readonly last_sign_in_at: Date | null }

export interface UserPage {
  /** The `sort_key` that the page starts after. */
  readonly after: string | undefined
  readonly limit: number
  /** Part of a username or full name. */
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
      guarded(() =>
        orm
          .select({ ...getTableColumns(users), sort_key: lowered, last_sign_in_at: lastSignIn })
          .from(users)
          .where(and(after === undefined ? undefined : gt(lowered, after), matches(search)))
          .orderBy(lowered)
          .limit(limit),
      ),
  }
}

function matches(search: string | undefined): SQL | undefined {
  if (search === undefined) return undefined
  const pattern = `%${search.replace(/[\\%_]/g, '\\$&')}%`
  // A column may have a nondeterministic collation, which ILIKE rejects.
  const isLike = (column: typeof users.username | typeof users.full_name) =>
    sql`${column} COLLATE "default" ILIKE ${pattern}`
  return or(isLike(users.username), isLike(users.full_name))
}
