import { type SQL, sql } from 'drizzle-orm'
import { instance, sessions } from './schema.ts'

/**
 * SQL: whether a session is of the current epoch. `key reset` begins the next one, which ends every
 * session, in the same time for any number. `session` is its alias.
 */
export function isOfCurrentEpoch(session: SQL = sql`${sessions}`): SQL {
  return sql`coalesce(${session}.epoch >= (SELECT session_epoch FROM ${instance} WHERE id = 1),
    ${session}.created_at > coalesce((SELECT epoch_began_at FROM ${instance} WHERE id = 1), '-infinity'))`
}

/** SQL: whether a session has not ended. */
export function isActive(now: Date, session: SQL = sql`${sessions}`): SQL {
  return sql`(${session}.expires_at > ${now.toISOString()}::timestamptz AND ${isOfCurrentEpoch(session)})`
}
