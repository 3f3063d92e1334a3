import type { Positioned } from '../batch.ts'
import { guarded } from '../failure.ts'
import type { Connection } from '../pool/connection.ts'
import type { StoredApiKey } from './apiKeys.ts'
import type { SessionUser } from './sessions.ts'

export type RequestCheckStatements = ReturnType<typeof requestCheckStatements>

/** What an access token says about its session, and the time of the request. */
export interface SessionKey {
  readonly id: string
  readonly userId: string
  readonly username: string
  readonly now: Date
}

/** What a cookie says about its session, and the time of the request. */
export type BrowserSessionKey = Pick<SessionKey, 'id' | 'now'>

export interface BrowserSessionRow {
  readonly user: SessionUser
  readonly generation: number
  /** Epoch milliseconds. Null before the first rotation. */
  readonly rotatedAt: number | null
  readonly lastUsedAt: number
}

/**
 * The lookup that every request needs, for many requests at once. The subquery hides the number of
 * keys; otherwise PostgreSQL would plan each small batch again, which takes longer than the lookup.
 * `ANY` reads a small table once for all keys, and a large one by its primary key.
 */
export function requestCheckStatements({ client }: Pick<Connection, 'client'>) {
  return {
    /** Finds the active users of sessions that have not ended. */
    findActiveSessions: (keys: readonly SessionKey[]): Promise<Positioned<SessionUser>[]> =>
      guarded(async () => {
        const [found] = await client<{ readonly users: readonly FoundUser[] | null }[]>`
          SELECT json_agg(json_build_array(s.id, u.id, u.username, u.full_name, u.roles, u.must_change_password)) AS users
          FROM audittrail_sessions s JOIN users u ON u.id = s.user_id
          WHERE s.id = ANY((SELECT ${arrayOf(keys.map(({ id }) => id))}::uuid[])::uuid[])
            AND s.expires_at > ${latest(keys)}::timestamptz AND u.is_active
            AND coalesce(s.epoch >= (SELECT session_epoch FROM audittrail_instance WHERE id = 1),
              s.created_at > coalesce((SELECT epoch_began_at FROM audittrail_instance WHERE id = 1), '-infinity'))`
        return positioned(keys, found?.users ?? [], userOf)
      }),

    /** Finds browser sessions that have not ended, of active users, in the same way. */
    findBrowserSessions: (keys: readonly BrowserSessionKey[]): Promise<Positioned<BrowserSessionRow>[]> =>
      guarded(async () => {
        const [found] = await client<{ readonly sessions: readonly FoundBrowserSession[] | null }[]>`
          SELECT json_agg(json_build_array(s.id, u.id, u.username, u.full_name, u.roles, u.must_change_password,
            s.cookie_generation, date_part('epoch', s.cookie_rotated_at), date_part('epoch', s.last_used_at))) AS sessions
          FROM audittrail_sessions s JOIN users u ON u.id = s.user_id
          WHERE s.id = ANY((SELECT ${arrayOf(keys.map(({ id }) => id))}::uuid[])::uuid[])
            AND s.kind = 'browser' AND s.cookie_generation IS NOT NULL
            AND s.expires_at > ${latest(keys)}::timestamptz AND u.is_active
            AND coalesce(s.epoch >= (SELECT session_epoch FROM audittrail_instance WHERE id = 1),
              s.created_at > coalesce((SELECT epoch_began_at FROM audittrail_instance WHERE id = 1), '-infinity'))`
        return positioned(keys, found?.sessions ?? [], browserSessionOf)
      }),

    /** Finds API keys by digest, expired and revoked ones too. */
    findApiKeys: (digests: readonly string[]): Promise<Positioned<StoredApiKey>[]> =>
      guarded(async () => {
        const rows = await client<ApiKeyRow[]>`
          SELECT d.position::integer - 1 AS position, k.id, k.service_id, s.name, to_json(k.scopes) AS scopes,
                 to_json(k.roles) AS roles, k.created_by, k.created_at, k.expires_at, k.last_used_at, k.revoked_at, k.revoked_by
          FROM unnest((SELECT ${arrayOf(digests)}::text[])) WITH ORDINALITY AS d (digest, position)
          JOIN audittrail_api_keys k ON k.digest = d.digest
          JOIN audittrail_services s ON s.id = k.service_id`
        return rows.map(({ position, created_at, expires_at, last_used_at, revoked_at, ...rest }) => ({
          position,
          row: {
            ...rest,
            created_at: new Date(created_at),
            expires_at: dateOf(expires_at),
            last_used_at: dateOf(last_used_at),
            revoked_at: dateOf(revoked_at),
          },
        }))
      }),
  }
}

type TimeColumn = 'created_at' | 'expires_at' | 'last_used_at' | 'revoked_at'

/** Drizzle makes a shared driver return times as text. */
type ApiKeyRow = Omit<StoredApiKey, TimeColumn> & { readonly position: number; readonly created_at: string } & Record<
    Exclude<TimeColumn, 'created_at'>,
    string | null
  >

function dateOf(time: string | null): Date | null {
  return time === null ? null : new Date(time)
}

/** In the order of `json_build_array`. */
type FoundUser = readonly [
  session: string,
  id: string,
  username: string,
  fullName: string,
  roles: readonly string[],
  mustChangePassword: boolean,
]

/** Times are in seconds. */
type FoundBrowserSession = readonly [
  ...user: FoundUser,
  generation: number,
  rotatedAt: number | null,
  lastUsedAt: number,
]

/** Returns the rows, each with the position of its session's key. */
function positioned<Found extends readonly [session: string, ...unknown[]], Row>(
  keys: readonly BrowserSessionKey[],
  found: readonly Found[],
  rowOf: (found: Found) => Row,
): Positioned<Row>[] {
  const positions = new Map(keys.map(({ id }, position) => [id, position]))
  return found.flatMap((one) => {
    const position = positions.get(one[0])
    return position === undefined ? [] : [{ position, row: rowOf(one) }]
  })
}

function userOf([, id, username, full_name, roles, must_change_password]:
  | FoundUser
  | FoundBrowserSession): SessionUser {
  return { id, username, full_name, is_active: true, roles, must_change_password }
}

function browserSessionOf(found: FoundBrowserSession): BrowserSessionRow {
  const [generation, rotatedAt, lastUsedAt] = [found[6], found[7], found[8]]
  return { user: userOf(found), generation, rotatedAt: rotatedAt && rotatedAt * 1000, lastUsedAt: lastUsedAt * 1000 }
}

function latest(keys: readonly BrowserSessionKey[]): string {
  return new Date(keys.reduce((time, { now }) => Math.max(time, now.getTime()), 0)).toISOString()
}

/**
 * Returns an array literal of PostgreSQL: the driver knows no array types. The members are UUIDs or
 * digests, so none needs quotes.
 */
function arrayOf(members: readonly string[]): string {
  return `{${members.join(',')}}`
}
