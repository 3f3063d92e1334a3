import { and, eq, inArray, isNull, ne, sql } from 'drizzle-orm'
import type { ChangedPassword, RevokedKey } from '../changes.ts'
import { guarded } from '../failure.ts'
import type { Connection } from '../pool/connection.ts'
import { apiKeys, ended, sessions, users } from '../schema.ts'

export type FailoverStatements = ReturnType<typeof failoverStatements>

/** A row to look for after a failover. */
export interface ExpectedRow {
  readonly kind: 'session' | 'api_key' | 'user'
  readonly id: string
  /** The least number of rotations of the session. */
  readonly generation: number
}

/** Statements that find or repeat changes which a failover has undone. */
export function failoverStatements({ client, orm }: Pick<Connection, 'client' | 'orm'>) {
  return {
    /** Ends the sessions that are not ended. Returns how many. */
    endSessionsAgain: (ids: readonly string[]): Promise<number> =>
      guarded(async () => {
        const isUndone = and(inArray(sessions.id, [...ids]), ne(sessions.expires_at, ended))
        const rows = await orm
          .update(sessions)
          .set({ expires_at: ended })
          .where(isUndone)
          .returning({ id: sessions.id })
        return rows.length
      }),

    /** Revokes the keys that are not revoked. Returns how many. */
    revokeKeysAgain: (keys: readonly RevokedKey[]): Promise<number> =>
      guarded(async () => {
        let revoked = 0
        for (const { id, revoked_at, revoked_by } of keys) {
          const rows = await orm
            .update(apiKeys)
            .set({ revoked_at, revoked_by })
            .where(and(eq(apiKeys.id, id), isNull(apiKeys.revoked_at)))
            .returning({ id: apiKeys.id })
          revoked += rows.length
        }
        return revoked
      }),

    /** Sets the password if the user has the former one. Returns 1 if so, otherwise 0. */
    changePasswordAgain: (id: string, { hash, replacing, mustChange }: ChangedPassword): Promise<number> =>
      guarded(async () => {
        const hasFormer = sql`${users.hashed_password} COLLATE "C" = ${replacing}`
        const rows = await orm
          .update(users)
          .set({ hashed_password: hash, must_change_password: mustChange })
          .where(and(eq(users.id, id), hasFormer))
          .returning({ id: users.id })
        return rows.length
      }),

    /** Returns how many of the rows do not exist, or are older than expected. */
    countMissing: (rows: readonly ExpectedRow[]): Promise<number> =>
      guarded(async () => {
        const [row] = await orm.execute<{ missing: number }>(sql`
          SELECT count(*)::integer AS missing
          FROM json_to_recordset(${JSON.stringify(rows)}::json) AS e (kind text, id uuid, generation integer)
          WHERE NOT CASE e.kind
            WHEN 'session' THEN EXISTS (SELECT FROM audittrail_sessions s
              WHERE s.id = e.id AND coalesce(s.refresh_generation, 0) >= e.generation)
            WHEN 'api_key' THEN EXISTS (SELECT FROM audittrail_api_keys k WHERE k.id = e.id)
            ELSE EXISTS (SELECT FROM users u WHERE u.id = e.id) END`)
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
