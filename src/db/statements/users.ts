import { and, eq, getTableColumns, gt, lte, or, type SQL, sql } from 'drizzle-orm'
import { guarded } from '../failure.ts'
import type { Orm } from '../pool/connection.ts'
import { sessions, signIns, users } from '../schema.ts'
import { hasWordsOf, matches, startsInFullName, startsUsername } from '../userSearch.ts'

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
/** Every active administrator, locked, so that concurrent changes see each other's result. */
export const lockedAdministrators = sql`(
  SELECT id FROM ${users} WHERE ${isAdministrator} AND is_active ORDER BY id FOR UPDATE)`
/**
 * Older versions beside this one record only sessions. Written out, since Drizzle does not qualify
 * columns in the fields of a query of one table: `id` would be that of the session.
 */
const lastSignIn = sql<Date | null>`greatest(
  (SELECT r.last_at FROM ${signIns} r WHERE r.user_id = users.id),
  (SELECT max(s.created_at) FROM ${sessions} s WHERE s.user_id = users.id))`.mapWith(signIns.last_at)

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

    /**
     * Returns whether a new user of this name would be a duplicate, in any case or by its
     * collation.
     */
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
    listUsers: (page: UserPage): Promise<ListedUser[]> =>
      guarded(() => (page.search === undefined ? selectPage(orm, page) : searchPage(orm, page, page.search))),
  }
}

/** How many users, from the start of the page, are read one by one: many users may match. */
const walks = { short: 100, long: 50_000 }
/** More users with a word are not collected from the index, but read in order. */
const fewNamed = 5000

/**
 * Reads a page of matching users in a time that does not depend on the number of users: a text that
 * many have is found soon in the order of usernames, one that few have in the indexes.
 */
async function searchPage(orm: Orm, page: UserPage, search: string): Promise<ListedUser[]> {
  const anywhere = await hasTrigrams(orm)
  const condition = matches(search, anywhere)
  for (const walk of [walks.short, walks.long]) {
    const end = await findSortKey(orm, page, walk)
    const walked = await selectPage(orm, page, and(end === undefined ? undefined : lte(lowered, end), condition))
    if (end === undefined || walked.length === page.limit) return walked
    if (anywhere) break
    if (walk === walks.short && (await countNamed(orm, search)) <= fewNamed)
      return selectPage(orm, page, isCandidate(search, page))
  }
  return selectPage(orm, page, condition)
}

function selectPage(orm: Orm, { after, limit }: UserPage, condition?: SQL): Promise<ListedUser[]> {
  return orm
    .select({ ...getTableColumns(users), sort_key: lowered, last_sign_in_at: lastSignIn })
    .from(users)
    .where(and(after === undefined ? undefined : gt(lowered, after), condition))
    .orderBy(lowered)
    .limit(limit)
}

/**
 * Returns the sort key of the user so far from the start of the page. Undefined: there are fewer.
 */
async function findSortKey(orm: Orm, { after }: UserPage, distance: number): Promise<string | undefined> {
  const [row] = await orm
    .select({ sort_key: lowered })
    .from(users)
    .where(after === undefined ? undefined : gt(lowered, after))
    .orderBy(lowered)
    .offset(distance)
    .limit(1)
  return row?.sort_key
}

/** Returns how many users have the words of a text, at most one more than `fewNamed`. */
async function countNamed(orm: Orm, search: string): Promise<number> {
  const named = sql`SELECT FROM ${users} WHERE ${hasWordsOf(search)} LIMIT ${fewNamed + 1}`
  const [row] = await orm.execute<{ count: number }>(sql`SELECT count(*)::integer AS count FROM (${named}) AS named`)
  return row?.count ?? 0
}

/** Matches the users that the indexes find. */
function isCandidate(search: string, { after, limit }: UserPage): SQL {
  return sql`${users.id} IN (
    (SELECT id FROM ${users} WHERE ${startsInFullName(search)} LIMIT ${fewNamed})
    UNION (SELECT id FROM ${users} WHERE ${startsUsername(search)} AND ${after === undefined ? sql`true` : gt(lowered, after)}
           ORDER BY ${lowered} LIMIT ${limit}))`
}

/** Returns whether an index on substrings can exist. */
async function hasTrigrams(orm: Orm): Promise<boolean> {
  return (await orm.execute(sql`SELECT FROM pg_extension WHERE extname = 'pg_trgm'`)).length === 1
}

/** Returns a user, locked against changes but not against new sessions. */
export async function lockUser(orm: Pick<Orm, 'select'>, id: string): Promise<User | undefined> {
  return (await orm.select().from(users).where(eq(users.id, id)).for('no key update'))[0]
}

/** Returns the fields that get another value. The order of roles has no meaning. */
export function changedFields(
  former: User,
  change: { readonly full_name?: string; readonly roles?: readonly string[]; readonly is_active?: boolean },
): readonly string[] {
  const comparable = (value: unknown) => (Array.isArray(value) ? [...new Set(value)].toSorted().join('\n') : value)
  return Object.entries(change)
    .filter(
      ([field, value]) => value !== undefined && comparable(value) !== comparable(former[field as keyof typeof change]),
    )
    .map(([field]) => field)
}
