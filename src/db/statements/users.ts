import { and, eq, getTableColumns, gt, ilike, or, type SQL, sql } from 'drizzle-orm'
import { AppError } from '../../error.ts'
import { guarded, violatedConstraint } from '../failure.ts'
import type { Orm } from '../pool/connection.ts'
import { ended, sessions, users } from '../schema.ts'

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

/** Why a user stays as it is. */
export type Unchanged = 'last_administrator' | 'spared_administrator'

/** `sort_key` is what the next page begins behind. */
export type ListedUser = User & { readonly sort_key: string }

export interface PasswordChange {
  readonly hash: string
  readonly mustChange: boolean
  /** Only if this is still the hash. */
  readonly replacing?: string
  /** Only if the user is no administrator. */
  readonly sparesAdministrators?: boolean
}

export interface UserPage {
  /** The `sort_key` that the page begins behind. */
  readonly after: string | undefined
  readonly limit: number
  /** Part of a name or full name. */
  readonly search: string | undefined
}

/** Without case by ASCII's rules and in the order of bytes, whatever the collation of the database. */
const lowered = sql<string>`lower(${users.username} COLLATE "C")`
const isAdministrator = sql`'admin' = ANY (${users.roles})`
/** Each active administrator, locked: two changes at once see one another's outcome. */
const lockedAdministrators = sql`(
  SELECT id FROM ${users} WHERE ${isAdministrator} AND is_active ORDER BY id FOR UPDATE)`

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
    /** The user of that name, compared without case. */
    findUserByUsername: (username: string): Promise<User | undefined> =>
      guarded(async () => (await byUsername.execute({ username }))[0]),

    findUser: (id: string): Promise<User | undefined> =>
      guarded(async () => (await orm.select().from(users).where(eq(users.id, id)))[0]),

    /** Names of active administrators (ten at most) whose password somebody else has set. */
    listQuarantinedAdministrators: (): Promise<string[]> =>
      guarded(async () => (await quarantinedAdministrators.execute()).map((user) => user.username)),

    /** One page in the order of the names without case. */
    listUsers: ({ after, limit, search }: UserPage): Promise<ListedUser[]> =>
      guarded(() =>
        orm
          .select({ ...getTableColumns(users), sort_key: lowered })
          .from(users)
          .where(and(after === undefined ? undefined : gt(lowered, after), matches(search)))
          .orderBy(lowered)
          .limit(limit),
      ),

    /** Throws `conflict` when the name is taken, in whatever case. */
    insertUser: (user: NewUser): Promise<User> =>
      guarded(async () => {
        try {
          const [row] = await orm
            .insert(users)
            .values({ ...user, roles: [...user.roles] })
            .returning()
          return row as User
        } catch (error) {
          // By its part: on an adopted table the index keeps the name that another program gave it.
          if (violatedConstraint(error)?.includes('username')) {
            throw new AppError('conflict', 'This name is taken.')
          }
          throw error
        }
      }),

    /**
     * Changes a user, and ends the sessions of one who is no longer active. Not where it would take away the last active
     * administrator, or the user is one and they are spared; `undefined` where there is no such user.
     */
    updateUser: (id: string, change: UserChange, sparesAdministrators = false): Promise<User | Unchanged | undefined> =>
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
                spared(sparesAdministrators),
              ),
            )
            .returning()
          if (!row) return whyUnchanged(transaction, id, sparesAdministrators)
          if (!row.is_active)
            await transaction.update(sessions).set({ expires_at: ended }).where(eq(sessions.user_id, id))
          return row
        }),
      ),

    /**
     * Sets a password and ends the user's sessions; answers how many, undefined without such a user. With `ownSession` the
     * user acts: that one goes on, and when it has ended meanwhile, or the user was disabled, nothing is set (`invalid_token`).
     */
    updatePassword: (
      id: string,
      password: PasswordChange,
      now: Date,
      ownSession?: string,
    ): Promise<number | undefined> =>
      guarded(() =>
        orm.transaction(async (transaction) => {
          const { hash, mustChange, replacing, sparesAdministrators = false } = password
          const rows = await transaction
            .update(users)
            .set({ hashed_password: hash, must_change_password: mustChange })
            .where(
              and(
                eq(users.id, id),
                replacing === undefined ? undefined : eq(users.hashed_password, replacing),
                spared(sparesAdministrators),
              ),
            )
            .returning({ id: users.id, is_active: users.is_active })
          if (rows.length === 0) return undefined
          if (ownSession !== undefined && !(rows[0]?.is_active && (await isLive(transaction, ownSession, now)))) {
            throw new AppError('invalid_token', 'Could not validate credentials')
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

    /** Puts a dearer hash of the same password in the place of the one that it was verified against. */
    replaceHash: (id: string, from: string, to: string): Promise<void> =>
      guarded(async () => {
        await orm
          .update(users)
          .set({ hashed_password: to })
          .where(and(eq(users.id, id), eq(users.hashed_password, from)))
      }),

    /** Not the last active administrator, nor any where they are spared; undefined where there is no such user. */
    deleteUser: (id: string, sparesAdministrators = false): Promise<User | Unchanged | undefined> =>
      guarded(async () => {
        const [row] = await orm
          .delete(users)
          .where(and(eq(users.id, id), anotherAdministratorThan(id), spared(sparesAdministrators)))
          .returning()
        return row ?? whyUnchanged(orm, id, sparesAdministrators)
      }),
  }
}

/** True of a user who is no active administrator, or not the only one. */
function anotherAdministratorThan(id: string): SQL {
  return sql`(NOT (${isAdministrator} AND ${users.is_active})
    OR EXISTS (WITH administrators AS MATERIALIZED ${lockedAdministrators} SELECT FROM administrators WHERE id <> ${id}))`
}

function matches(search: string | undefined): SQL | undefined {
  if (search === undefined) return undefined
  const pattern = `%${search.replace(/[\\%_]/g, '\\$&')}%`
  return or(ilike(users.username, pattern), ilike(users.full_name, pattern))
}

/** Locks the session's row, so that its end comes before or after the change and not beside it. */
async function isLive(orm: Pick<Orm, 'select'>, id: string, now: Date): Promise<boolean> {
  const live = and(eq(sessions.id, id), gt(sessions.expires_at, now))
  return (await orm.select({ id: sessions.id }).from(sessions).where(live).for('update')).length === 1
}

function spared(sparesAdministrators: boolean): SQL | undefined {
  return sparesAdministrators ? sql`NOT (${isAdministrator})` : undefined
}

async function whyUnchanged(
  orm: Pick<Orm, 'select'>,
  id: string,
  sparesAdministrators: boolean,
): Promise<Unchanged | undefined> {
  const isThere = (await orm.select({ id: users.id }).from(users).where(eq(users.id, id))).length === 1
  if (!isThere) return undefined
  return sparesAdministrators ? 'spared_administrator' : 'last_administrator'
}
