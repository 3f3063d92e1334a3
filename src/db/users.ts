import { and, arrayContains, eq, sql } from 'drizzle-orm'
import type { Orm } from './connection.ts'
import { guarded } from './failure.ts'
import { users } from './schema.ts'

export type User = typeof users.$inferSelect
export type UserStatements = ReturnType<typeof userStatements>

export function userStatements(orm: Orm) {
  const byUsername = orm
    .select()
    .from(users)
    .where(eq(sql`lower(${users.username})`, sql`lower(${sql.placeholder('username')})`))
    .limit(1)
    .prepare('find_user_by_username')
  const quarantinedAdministrators = orm
    .select({ username: users.username })
    .from(users)
    .where(and(users.must_change_password, users.is_active, arrayContains(users.roles, ['admin'])))
    .limit(10)
    .prepare('list_quarantined_administrators')

  return {
    /** The user of that name, compared without case. */
    findUserByUsername: (username: string): Promise<User | undefined> =>
      guarded(async () => (await byUsername.execute({ username }))[0]),

    /** Names of active administrators (ten at most) whose password somebody else has set. */
    listQuarantinedAdministrators: (): Promise<string[]> =>
      guarded(async () => (await quarantinedAdministrators.execute()).map((user) => user.username)),
  }
}
