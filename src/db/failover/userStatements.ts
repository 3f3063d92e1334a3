import { and, inArray, type SQL, sql } from 'drizzle-orm'
import { guarded } from '../failure.ts'
import type { Connection } from '../pool/connection.ts'
import { guardedChange } from '../rejection.ts'
import { sessions, users } from '../schema.ts'
import { isAdministrator } from '../statements/users.ts'
import type { RememberedPassword } from './acknowledgedChanges.ts'

/** A user of a remembered change. */
interface WithId {
  readonly id: string
}

export interface RememberedRoles extends WithId {
  readonly roles: readonly string[]
}

const isOrdinary = sql`(${isAdministrator}) IS NOT TRUE`
const hasOtherRoles = sql`NOT ${users.roles}::text[] <@ e.roles`

/**
 * Changes of many users at once, where a failover has undone them. Each returns the changed ids.
 * Administrators are changed one by one, since one must remain.
 */
export function repeatedUserStatements({ orm }: Pick<Connection, 'orm'>) {
  const findAdministrators = (from: SQL): Promise<readonly string[]> =>
    guarded(async () => {
      const rows = await orm.execute<{ id: string }>(sql`SELECT ${users.id} FROM ${from} AND ${isAdministrator}`)
      return rows.map(({ id }) => id)
    })

  return {
    /** Sets each password if the user has one of the former hashes. */
    changePasswords: (passwords: readonly (RememberedPassword & WithId)[]): Promise<readonly string[]> =>
      guardedChange('store', async () => {
        const rows = await orm.execute<{ id: string }>(sql`
          UPDATE ${users} SET hashed_password = e.hash, must_change_password = e."mustChange"
          FROM json_to_recordset(${JSON.stringify(passwords)}::json) AS e (id uuid, hash text, "mustChange" boolean, former text[])
          WHERE ${users.id} = e.id AND ${users.hashed_password} COLLATE "C" = ANY (e.former)
          RETURNING ${users.id}`)
        return rows.map(({ id }) => id)
      }),

    /** Disables the users and ends their sessions. */
    disable: (changes: readonly WithId[]): Promise<readonly string[]> =>
      guardedChange('store', () =>
        orm.transaction(async (transaction) => {
          const rows = await transaction
            .update(users)
            .set({ is_active: false })
            .where(and(isAmong(changes), users.is_active, isOrdinary))
            .returning({ id: users.id })
          const disabled = rows.map(({ id }) => id)
          if (disabled.length > 0) await transaction.delete(sessions).where(inArray(sessions.user_id, disabled))
          return disabled
        }),
      ),

    /** Removes the roles that the users should no longer have. */
    limitRoles: (changes: readonly RememberedRoles[]): Promise<readonly string[]> =>
      guardedChange('store', async () => {
        const rows = await orm.execute<{ id: string }>(sql`
          UPDATE ${users} SET roles = ARRAY(
            SELECT role FROM unnest(${users.roles}::text[]) WITH ORDINALITY AS current (role, place)
            WHERE role = ANY (e.roles) ORDER BY place)
          FROM ${rolesOf(changes)} WHERE ${users.id} = e.id AND ${hasOtherRoles} AND ${isOrdinary}
          RETURNING ${users.id}`)
        return rows.map(({ id }) => id)
      }),

    deleteUsers: (changes: readonly WithId[]): Promise<readonly string[]> =>
      guardedChange('delete', async () => {
        const rows = await orm
          .delete(users)
          .where(and(isAmong(changes), isOrdinary))
          .returning({ id: users.id })
        return rows.map(({ id }) => id)
      }),

    /** Returns the administrators that `disable` leaves. */
    findActiveAdministrators: (changes: readonly WithId[]) =>
      findAdministrators(sql`${users} WHERE ${isAmong(changes)} AND ${users.is_active}`),

    /** Returns the administrators that `limitRoles` leaves. */
    findAdministratorsToLimit: (changes: readonly RememberedRoles[]) =>
      findAdministrators(sql`${users} JOIN ${rolesOf(changes)} ON ${users.id} = e.id WHERE ${hasOtherRoles}`),

    /** Returns the administrators that `deleteUsers` leaves. */
    findAdministrators: (changes: readonly WithId[]) => findAdministrators(sql`${users} WHERE ${isAmong(changes)}`),
  }
}

function isAmong(changes: readonly WithId[]): SQL {
  const ids = changes.map(({ id }) => id)
  return inArray(users.id, ids)
}

function rolesOf(changes: readonly RememberedRoles[]): SQL {
  return sql`json_to_recordset(${JSON.stringify(changes)}::json) AS e (id uuid, roles text[])`
}
