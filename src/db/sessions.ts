import { and, eq, gt, sql } from 'drizzle-orm'
import type { Orm } from './connection.ts'
import { guarded } from './failure.ts'
import { sessions, users } from './schema.ts'

export type NewSession = typeof sessions.$inferInsert
export type SessionStatements = ReturnType<typeof sessionStatements>

/** What a request needs to know of the user whose session it comes from. */
export interface SessionUser {
  readonly id: string
  readonly username: string
  readonly full_name: string
  readonly is_active: boolean
  readonly roles: readonly string[]
  readonly must_change_password: boolean
}

export function sessionStatements(orm: Orm) {
  const live = orm
    .select({
      id: users.id,
      username: users.username,
      full_name: users.full_name,
      is_active: users.is_active,
      roles: users.roles,
      must_change_password: users.must_change_password,
    })
    .from(sessions)
    .innerJoin(users, eq(users.id, sessions.user_id))
    .where(
      and(
        eq(sessions.id, sql.placeholder('id')),
        eq(sessions.user_id, sql.placeholder('userId')),
        gt(sessions.expires_at, sql.placeholder('now')),
        eq(users.username, sql.placeholder('username')),
        users.is_active,
      ),
    )
    .prepare('find_live_session')
  const insert = orm
    .insert(sessions)
    .values({
      id: sql.placeholder('id'),
      user_id: sql.placeholder('user_id'),
      created_at: sql.placeholder('created_at'),
      last_used_at: sql.placeholder('last_used_at'),
      expires_at: sql.placeholder('expires_at'),
      address: sql.placeholder('address'),
      user_agent: sql.placeholder('user_agent'),
    })
    .prepare('insert_session')

  return {
    insertSession: (session: NewSession): Promise<void> =>
      guarded(async () => {
        await insert.execute({ ...session })
      }),

    /** The active user of a session that lives at `now`; undefined when any of the four does not fit. */
    findLiveSession: (key: {
      id: string
      userId: string
      username: string
      now: Date
    }): Promise<SessionUser | undefined> =>
      guarded(async () => (await live.execute({ ...key, now: key.now.toISOString() }))[0]),
  }
}
