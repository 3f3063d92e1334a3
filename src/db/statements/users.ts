import { and, eq, getTableColumns, gt, ilike, or, type SQL, sql } from 'drizzle-orm'
import { AppError } from '../../error.ts'
import { guarded, violatedConstraint } from '../failure.ts'
import type { Orm } from '../pool/connection.ts'
import { ended, sessions, signIns, users } from '../schema.ts'

export type User = typeof users.$inferSelect
export type UserStatements = ReturnType<typeof userStatements>

export interface NewUser {
  readonly username: string
  readonly hashed_password: string
  readonly full_name: string
  readonly roles: readonly string[]
  readonly must_change_password: boolean
}

export interface UserChange {
  readonly full_name?: string
  readonly roles?: readonly string[]
  readonly is_active?: boolean
}

/** Why a user was not changed. */
export type Unchanged = 'last_administrator' | 'protected_administrator'

/** The next page starts after `sort_key`. */
export type ListedUser = User & { readonly sort_key: string; readonly last_sign_in_at: Date | null }

export interface PasswordChange {
  readonly hash: string
  readonly mustChange: boolean
  /** Only if this is still the hash. */
  readonly replacing?: string
  /** Only if the user is not an administrator. */
  readonly protectsAdministrators?: boolean
}

export interface UserPage {
  /** The `sort_key` that the page starts after. */
  readonly after: string | undefined
  readonly limit: number
  /** Part of a username or full name. */
  readonly search: string | undefined
}

/** ASCII lower case in byte order, whatever the collation of the database. */
const lowered = sql<string>`lower(${users.username} COLLATE "C")`
const isAdministrator = sql`'admin' = ANY (${users.roles})`
/** Every active administrator, locked, so that concurrent changes see each other's result. */
const lockedAdministrators = sql`(
  SELECT id FROM ${users} WHERE ${isAdministrator} AND is_active ORDER BY id FOR UPDATE)`

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

    /** Throws `conflict` if the username is taken in any case. */
    insertUser: (user: NewUser): Promise<User> =>
      guarded(async () => {
        try {
          const [row] = await orm
            .insert(users)
            .values({ ...user, roles: [...user.roles] })
            .returning()
          return row as User
        } catch (error) {
          // Matched by part of its name: on an adopted table the index keeps its original name.
          if (violatedConstraint(error)?.includes('username')) {
            throw new AppError('conflict', 'This username is taken.')
          }
          throw error
        }
      }),

    /**
     * Changes a user, and ends their sessions if they are no longer active. Fails for the last
     * active administrator and for protected administrators. Returns undefined if there is no such
     * user.
     */
    updateUser: (
      id: string,
      change: UserChange,
      protectsAdministrators = false,
    ): Promise<User | Unchanged | undefined> =>
      guarded(() =>
        orm.transaction(async (transaction) => {
          const staysAdministrator = change.roles?.includes('admin') !== false && change.is_active !== false
          const { roles, ...rest } = change
          const values = roles ? { ...rest, roles: [...roles] } : rest
          const [row] = await transaction
            .update(users)
            .set(values)
            .where(
              and(
                eq(users.id, id),
                staysAdministrator ? undefined : anotherAdministratorThan(id),
                unlessProtected(protectsAdministrators),
              ),
            )
            .returning()
          if (!row) return reasonForNoChange(transaction, id, protectsAdministrators)
          if (!row.is_active)
            await transaction.update(sessions).set({ expires_at: ended }).where(eq(sessions.user_id, id))
          return row
        }),
      ),

    /**
     * Sets a password and ends the user's sessions. Returns how many, or undefined without such a
     * user. With `ownSession` that session continues; throws `invalid_token` if it has ended or the
     * user is disabled.
     */
    updatePassword: (
      id: string,
      password: PasswordChange,
      now: Date,
      ownSession?: string,
    ): Promise<number | undefined> =>
      guarded(() =>
        orm.transaction(async (transaction) => {
          const { hash, mustChange, replacing, protectsAdministrators = false } = password
          const rows = await transaction
            .update(users)
            .set({ hashed_password: hash, must_change_password: mustChange })
            .where(
              and(
                eq(users.id, id),
                replacing === undefined ? undefined : eq(users.hashed_password, replacing),
                unlessProtected(protectsAdministrators),
              ),
            )
            .returning({ id: users.id, is_active: users.is_active })
          if (rows.length === 0) return undefined
          if (
            ownSession !== undefined &&
            !(rows[0]?.is_active && (await isSessionActive(transaction, ownSession, now)))
          ) {
            throw new AppError('invalid_token', 'Could not validate credentials', { reason: 'revoked' })
          }
          const others = ownSession === undefined ? undefined : sql`${sessions.id} <> ${ownSession}`
          const rowsEnded = await transaction
            .update(sessions)
            .set({ expires_at: ended })
            .where(and(eq(sessions.user_id, id), gt(sessions.expires_at, now), others))
            .returning({ id: sessions.id })
          return rowsEnded.length
        }),
      ),

    /** Replaces a hash with a newer one of the same password, unless it has changed. */
    replaceHash: (id: string, from: string, to: string): Promise<void> =>
      guarded(async () => {
        await orm
          .update(users)
          .set({ hashed_password: to })
          .where(and(eq(users.id, id), eq(users.hashed_password, from)))
      }),

    /**
     * Deletes a user, unless the last active or a protected administrator. Returns undefined if
     * there is none.
     */
    deleteUser: (id: string, protectsAdministrators = false): Promise<User | Unchanged | undefined> =>
      guarded(async () => {
        const [row] = await orm
          .delete(users)
          .where(and(eq(users.id, id), anotherAdministratorThan(id), unlessProtected(protectsAdministrators)))
          .returning()
        return row ?? reasonForNoChange(orm, id, protectsAdministrators)
      }),
  }
}

/** Matches users who are not an active administrator, or not the only one. */
function anotherAdministratorThan(id: string): SQL {
  return sql`(NOT (${isAdministrator} AND ${users.is_active})
    OR EXISTS (WITH administrators AS MATERIALIZED ${lockedAdministrators} SELECT FROM administrators WHERE id <> ${id}))`
}

function matches(search: string | undefined): SQL | undefined {
  if (search === undefined) return undefined
  const pattern = `%${search.replace(/[\\%_]/g, '\\$&')}%`
  return or(ilike(users.username, pattern), ilike(users.full_name, pattern))
}

/** Locks the session's row, so that its end comes before or after the change. */
async function isSessionActive(orm: Pick<Orm, 'select'>, id: string, now: Date): Promise<boolean> {
  const isActive = and(eq(sessions.id, id), gt(sessions.expires_at, now))
  return (await orm.select({ id: sessions.id }).from(sessions).where(isActive).for('update')).length === 1
}

function unlessProtected(protectsAdministrators: boolean): SQL | undefined {
  return protectsAdministrators ? sql`NOT (${isAdministrator})` : undefined
}

async function reasonForNoChange(
  orm: Pick<Orm, 'select'>,
  id: string,
  protectsAdministrators: boolean,
): Promise<Unchanged | undefined> {
  const isThere = (await orm.select({ id: users.id }).from(users).where(eq(users.id, id))).length === 1
  if (!isThere) return undefined
  return protectsAdministrators ? 'protected_administrator' : 'last_administrator'
}
