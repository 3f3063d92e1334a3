import { and, eq, type SQL, sql } from 'drizzle-orm'
import { AppError } from '../../error.ts'
import { type ChangeObserver, unobserved } from '../changes.ts'
import { isActive } from '../epoch.ts'
import { databaseFailure, lacksPrivilege } from '../failure.ts'
import type { Orm } from '../pool/connection.ts'
import { discarded, guardedChange } from '../rejection.ts'
import { sessions, users } from '../schema.ts'
import { changedFields, isAdministrator, lockedAdministrators, lockUser, type User } from './users.ts'

export type UserChangeStatements = ReturnType<typeof userChangeStatements>

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

/** A user after a change and before it, with the fields that have another value than before. */
export interface ChangedUser {
  readonly user: User
  readonly former: User
  readonly fields: readonly string[]
}

/** A user after a change of the password and before it, and how many sessions it has ended. */
export interface ChangedPassword {
  readonly user: User
  readonly former: User
  readonly ended: number
}

/** Why a user was not changed. */
export type Unchanged = 'last_administrator' | 'protected_administrator'

export interface PasswordChange {
  readonly hash: string
  readonly mustChange: boolean
  /** Only if this is still the hash. */
  readonly replacing?: string
  /** Only if the user is not an administrator. */
  readonly protectsAdministrators?: boolean
}

export function userChangeStatements(orm: Orm, changes: ChangeObserver = unobserved) {
  return {
    /** Adds a user. The error's reason is `uniqueViolation` if perhaps the username is taken. */
    insertUser: (user: NewUser): Promise<User> =>
      guardedChange('store', async () => {
        const created = await orm.transaction(async (transaction) => {
          const [row] = await transaction
            .insert(users)
            .values({ ...user, roles: [...user.roles] })
            .returning()
          if (!row) throw discarded()
          return row
        })
        changes.userCreated(created.id)
        return created
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
    ): Promise<ChangedUser | Unchanged | undefined> =>
      guardedChange('store', async () => {
        let endedIds: readonly string[] = []
        const result = await orm.transaction(async (transaction) => {
          const staysAdministrator = change.roles?.includes('admin') !== false && change.is_active !== false
          // First, so that all changes lock users in the same order.
          if (!staysAdministrator) await transaction.execute(lockedAdministrators)
          const former = await lockUser(transaction, id)
          const fields = former ? changedFields(former, change) : []
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
          if (!row || !former)
            return reasonForNoChange(transaction, id, {
              protectsAdministrators,
              requiresAdministrator: !staysAdministrator,
            })
          if (!row.is_active) endedIds = await endSessions(transaction, eq(sessions.user_id, id))
          return { user: row, former, fields: endedIds.length > 0 ? [...new Set([...fields, 'is_active'])] : fields }
        })
        changes.sessionsEnded(endedIds)
        const { roles, is_active: isActive } = change
        if (typeof result === 'object' && (roles || isActive !== undefined))
          changes.userAccessChanged(id, { roles, isActive })
        return result
      }),

    /**
     * Sets a password and ends the user's sessions except `ownSession`. Returns undefined if the
     * user does not exist or `replacing` is no longer the hash. Throws `invalid_token` if
     * `ownSession` has ended or its user is disabled.
     */
    updatePassword: (
      id: string,
      password: PasswordChange,
      now: Date,
      ownSession?: string,
    ): Promise<ChangedPassword | Unchanged | undefined> =>
      guardedChange('store', async () => {
        const { hash, mustChange, replacing, protectsAdministrators = false } = password
        let endedIds: readonly string[] = []
        const result = await orm.transaction(async (transaction) => {
          const former = await lockUser(transaction, id)
          const [user] = await transaction
            .update(users)
            .set({ hashed_password: hash, must_change_password: mustChange })
            .where(
              and(
                eq(users.id, id),
                replacing === undefined ? undefined : hasHash(replacing),
                unlessProtected(protectsAdministrators),
              ),
            )
            .returning()
          if (!user || !former) return reasonForNoChange(transaction, id, { protectsAdministrators, hash: replacing })
          if (ownSession !== undefined && !(user.is_active && (await isSessionActive(transaction, ownSession, now)))) {
            throw new AppError('invalid_token', 'Could not validate credentials', { reason: 'revoked' })
          }
          const others = ownSession === undefined ? undefined : sql`${sessions.id} <> ${ownSession}`
          endedIds = await endSessions(transaction, and(eq(sessions.user_id, id), isActive(now), others))
          return { user, former, ended: endedIds.length }
        })
        if (typeof result === 'object') {
          changes.sessionsEnded(endedIds)
          changes.passwordChanged(id, { hash, replacing: result.former.hashed_password, mustChange })
        }
        return result
      }),

    /**
     * Replaces a hash with a newer one of the same password. Returns the user, or undefined if the
     * hash has changed. Throws `conflict` if the role must not change it.
     */
    replaceHash: (id: string, from: string, to: string): Promise<User | undefined> =>
      guardedChange('store', async () => {
        try {
          const [user] = await orm
            .update(users)
            .set({ hashed_password: to })
            .where(and(eq(users.id, id), hasHash(from)))
            .returning()
          if (user) changes.hashReplaced(id, from, to)
          return user
        } catch (error) {
          // No outage: the sign-in that this follows needs no such privilege.
          throw lacksPrivilege(error) ? new AppError('conflict', databaseFailure(error).message) : error
        }
      }),

    /**
     * Deletes a user, unless the last active or a protected administrator. Returns undefined if
     * there is none.
     */
    deleteUser: (id: string, protectsAdministrators = false): Promise<User | Unchanged | undefined> =>
      guardedChange('delete', async () => {
        const result = await orm.transaction(async (transaction) => {
          const [row] = await transaction
            .delete(users)
            .where(and(eq(users.id, id), anotherAdministratorThan(id), unlessProtected(protectsAdministrators)))
            .returning()
          return row ?? reasonForNoChange(transaction, id, { protectsAdministrators, requiresAdministrator: true })
        })
        if (typeof result === 'object') changes.userDeleted(id)
        return result
      }),
  }
}

/** Returns the ids of the sessions. */
async function endSessions(orm: Pick<Orm, 'delete'>, which: SQL | undefined): Promise<readonly string[]> {
  const rows = await orm.delete(sessions).where(which).returning({ id: sessions.id })
  return rows.map(({ id }) => id)
}

/** Matches users who are not an active administrator, or not the only one. */
function anotherAdministratorThan(id: string): SQL {
  return sql`(NOT (${isAdministrator} AND ${users.is_active})
    OR EXISTS (WITH administrators AS MATERIALIZED ${lockedAdministrators} SELECT FROM administrators WHERE id <> ${id}))`
}

/** Locks the session's row, so that its end comes before or after the change. */
async function isSessionActive(orm: Pick<Orm, 'select'>, id: string, now: Date): Promise<boolean> {
  const isFound = and(eq(sessions.id, id), isActive(now))
  return (await orm.select({ id: sessions.id }).from(sessions).where(isFound).for('update')).length === 1
}

function unlessProtected(protectsAdministrators: boolean): SQL | undefined {
  return protectsAdministrators ? sql`NOT (${isAdministrator})` : undefined
}

/** Matches users with exactly this hash, whatever the collation of the column. */
function hasHash(hash: string): SQL {
  return sql`${users.hashed_password} COLLATE "C" = ${hash}`
}

interface Conditions {
  readonly protectsAdministrators: boolean
  /** Another active administrator must remain. */
  readonly requiresAdministrator?: boolean
  readonly hash?: string | undefined
}

/**
 * Returns why a change affected no row. Undefined: there is no such user, or it has another hash.
 * Throws `conflict` if a trigger or rule discarded the change.
 */
async function reasonForNoChange(
  orm: Pick<Orm, 'select'>,
  id: string,
  { protectsAdministrators, requiresAdministrator = false, hash }: Conditions,
): Promise<Unchanged | undefined> {
  const mayChange = requiresAdministrator ? anotherAdministratorThan(id) : sql`true`
  const [user] = await orm
    .select({ isProtected: sql<boolean>`${isAdministrator}`, mayChange: sql<boolean>`${mayChange}` })
    .from(users)
    .where(and(eq(users.id, id), hash === undefined ? undefined : hasHash(hash)))
  if (!user) return undefined
  if (protectsAdministrators && user.isProtected) return 'protected_administrator'
  if (!user.mayChange) return 'last_administrator'
  throw discarded()
}
