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

/**
 * The lookup that every request needs, for many requests at once. Through the driver, whose text
 * stays the same for any number of keys, so that PostgreSQL plans it once.
 */
export function requestCheckStatements({ client }: Pick<Connection, 'client'>) {
  return {
    /** Finds the active users of sessions. A key is left out unless all of its members match. */
    findActiveSessions: (keys: readonly SessionKey[]): Promise<Positioned<SessionUser>[]> =>
      guarded(async () => {
        const now = new Date(Math.max(...keys.map((key) => key.now.getTime())))
        const rows = await client<(SessionUser & { readonly position: number })[]>`
          SELECT k.position::integer - 1 AS position, u.id, u.username, u.full_name, u.is_active,
                 to_json(u.roles) AS roles, u.must_change_password
          FROM unnest(${arrayOf(keys.map(({ id }) => id))}::uuid[], ${arrayOf(keys.map(({ userId }) => userId))}::uuid[],
                      ${arrayOf(keys.map(({ username }) => username))}::text[])
            WITH ORDINALITY AS k (session_id, user_id, username, position)
          JOIN audittrail_sessions s ON s.id = k.session_id AND s.user_id = k.user_id
          JOIN users u ON u.id = k.user_id
          WHERE s.expires_at > ${now.toISOString()}::timestamptz AND u.username = k.username AND u.is_active`
        return rows.map(({ position, ...row }) => ({ position, row }))
      }),

    /** Finds API keys by digest, expired and revoked ones too. */
    findApiKeys: (digests: readonly string[]): Promise<Positioned<StoredApiKey>[]> =>
      guarded(async () => {
        const rows = await client<ApiKeyRow[]>`
          SELECT d.position::integer - 1 AS position, k.id, k.service_id, s.name, to_json(k.scopes) AS scopes,
                 to_json(k.roles) AS roles, k.created_by, k.created_at, k.expires_at, k.last_used_at, k.revoked_at, k.revoked_by
          FROM unnest(${arrayOf(digests)}::text[]) WITH ORDINALITY AS d (digest, position)
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

/** Returns an array literal of PostgreSQL. The driver knows no array types. */
function arrayOf(texts: readonly string[]): string {
  return `{${texts.map((text) => `"${text.replace(/[\\"]/g, '\\$&')}"`).join(',')}}`
}
