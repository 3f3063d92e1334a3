import { and, inArray, ne, sql } from 'drizzle-orm'
import type { RevokedKey } from '../changes.ts'
import { guarded } from '../failure.ts'
import type { Connection } from '../pool/connection.ts'
import { apiKeys, ended, sessions } from '../schema.ts'
import type { Creation } from './acknowledgedChanges.ts'

export type FailoverStatements = ReturnType<typeof failoverStatements>

/** Statements that find or repeat changes which a failover has undone. */
export function failoverStatements({ client, orm }: Pick<Connection, 'client' | 'orm'>) {
  return {
    /** Ends the sessions that are not ended. Returns their ids. */
    endSessionsAgain: (ids: readonly string[]): Promise<readonly string[]> =>
      guarded(async () => {
        const isUndone = and(inArray(sessions.id, [...ids]), ne(sessions.expires_at, ended))
        const rows = await orm
          .update(sessions)
          .set({ expires_at: ended })
          .where(isUndone)
          .returning({ id: sessions.id })
        return rows.map(({ id }) => id)
      }),

    /** Revokes the keys that are not revoked. Returns their ids. */
    revokeKeysAgain: (keys: readonly RevokedKey[]): Promise<readonly string[]> =>
      guarded(async () => {
        const rows = await orm.execute<{ id: string }>(sql`
          UPDATE ${apiKeys} k SET revoked_at = e.revoked_at, revoked_by = e.revoked_by
          FROM json_to_recordset(${JSON.stringify(keys)}::json) AS e (id uuid, revoked_at timestamptz, revoked_by text)
          WHERE k.id = e.id AND k.revoked_at IS NULL
          RETURNING k.id`)
        return rows.map(({ id }) => id)
      }),

    /**
     * Returns how many of the rows do not exist, or are older than expected. A session that does
     * not exist has ended on another replica if its sign-in, or a later one, is recorded.
     */
    countMissing: (creations: readonly Creation[]): Promise<number> =>
      guarded(async () => {
        const rows = creations.map(({ signIn, ...row }) => ({
          ...row,
          user_id: signIn?.userId,
          started_at: signIn?.at,
        }))
        const [row] = await orm.execute<{ missing: number }>(sql`
          SELECT count(*)::integer AS missing
          FROM json_to_recordset(${JSON.stringify(rows)}::json)
            AS e (kind text, id uuid, generation integer, user_id uuid, started_at timestamptz)
          WHERE CASE e.kind
            WHEN 'session' THEN coalesce(
              (SELECT coalesce(s.refresh_generation, 0) < e.generation FROM audittrail_sessions s WHERE s.id = e.id),
              EXISTS (SELECT FROM users u WHERE u.id = e.user_id AND NOT EXISTS (
                SELECT FROM audittrail_sign_ins r WHERE r.user_id = u.id AND r.last_at >= e.started_at)))
            WHEN 'api_key' THEN NOT EXISTS (SELECT FROM audittrail_api_keys k WHERE k.id = e.id)
            ELSE NOT EXISTS (SELECT FROM users u WHERE u.id = e.id) END`)
        return Number(row?.missing)
      }),

    /** Has commits return without a synchronous standby, which may not have joined yet. */
    commitLocally: (): Promise<void> =>
      guarded(async () => {
        await client`SET synchronous_commit = local`
      }),

    /** Undoes `commitLocally`. */
    commitAsConfigured: (): Promise<void> =>
      guarded(async () => {
        await client`RESET synchronous_commit`
      }),

    /** Returns the position up to which WAL is on this server's disk. */
    readWalPosition: (): Promise<string> =>
      guarded(async () => {
        const [row] = await client<{ position: string }[]>`SELECT pg_current_wal_flush_lsn()::text AS position`
        return String(row?.position)
      }),
  }
}
