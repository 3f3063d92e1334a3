import { and, desc, eq, gt, gte, inArray, lte, or, type SQL, sql } from 'drizzle-orm'
import { type ChangeObserver, unobserved } from '../changes.ts'
import { isActive } from '../epoch.ts'
import { guarded } from '../failure.ts'
import type { Connection } from '../pool/connection.ts'
import { sessions, users } from '../schema.ts'

export type SessionStatements = ReturnType<typeof sessionStatements>

/** The user of a session, as far as a request needs. */
export interface SessionUser {
  readonly id: string
  readonly username: string
  readonly full_name: string
  readonly is_active: boolean
  readonly roles: readonly string[]
  readonly must_change_password: boolean
}

export type ListedSession = Readonly<Pick<typeof sessions.$inferSelect, keyof typeof listedColumns>>

export interface Rotation {
  readonly id: string
  /** The generation of the presented token. */
  readonly generation: number
  readonly now: Date
  /** A parent presented earlier is a replay. */
  readonly retryableSince: Date
  /** Sessions created earlier have reached their absolute end. */
  readonly createdAfter: Date
  /** Milliseconds: the idle limit and the absolute lifetime. */
  readonly idle: number
  readonly lifetime: number
}

/** A refresh token to check, not to use. */
export type PresentedToken = Pick<Rotation, 'id' | 'generation' | 'now' | 'retryableSince' | 'createdAfter'>

export interface RefreshableSession {
  readonly user: SessionUser
  readonly createdAt: Date
  readonly expiresAt: Date
}

export interface RotatedSession {
  readonly user: SessionUser
  readonly generation: number
  readonly expiresAt: Date
  /** A token older than the parent was presented, so the session must end. */
  readonly isReplayed: boolean
}

export interface RotatedCookie {
  readonly generation: number
  readonly createdAt: Date
  readonly isPersistent: boolean
}

/** Milliseconds. */
export type Limits = { readonly idle: number; readonly lifetime: number }

export interface BrowserSessionUse {
  readonly ids: readonly string[]
  readonly now: Date
  readonly early: Date
  readonly late: Date
  /** The limits of sessions that end with the browser, and of those that stay. */
  readonly plain: Limits
  readonly persistent: Limits
}

const userColumns = {
  id: users.id,
  username: users.username,
  full_name: users.full_name,
  is_active: users.is_active,
  roles: users.roles,
  must_change_password: users.must_change_password,
}

const listedColumns = {
  id: sessions.id,
  created_at: sessions.created_at,
  last_used_at: sessions.last_used_at,
  expires_at: sessions.expires_at,
  address: sessions.address,
  user_agent: sessions.user_agent,
  kind: sessions.kind,
  is_persistent: sessions.is_persistent,
}

export function sessionStatements({ orm }: Pick<Connection, 'orm'>, changes: ChangeObserver = unobserved) {
  return {
    /** Lists a user's active sessions, or the one with this id, last used first, at most 1,000. */
    listActiveSessions: (userId: string, now: Date, id?: string): Promise<ListedSession[]> =>
      guarded(() =>
        orm
          .select(listedColumns)
          .from(sessions)
          .where(and(eq(sessions.user_id, userId), isActive(now), id ? eq(sessions.id, id) : undefined))
          .orderBy(desc(sessions.last_used_at), sessions.id)
          .limit(1000),
      ),

    /**
     * Rotates the current refresh token in one statement; the row lock orders concurrent rotations.
     * The token's direct parent, presented soon enough, gets the same successor. Anything older is
     * a replay, after which the caller ends the session. Returns undefined if none matches.
     */
    rotate: (rotation: Rotation): Promise<RotatedSession | undefined> =>
      guarded(async () => {
        const [row] = await orm.execute<RotatedRow>(rotationStatement(rotation))
        if (!row) return undefined
        const { refresh_generation: generation, expires_at, is_replayed: isReplayed, ...user } = row
        if (!isReplayed) changes.sessionRefreshed(rotation.id, generation)
        return { user, generation, expiresAt: new Date(expires_at), isReplayed }
      }),

    /** Finds the session of a refresh token that `rotate` would accept now. Changes nothing. */
    findRefreshableSession: (presented: PresentedToken): Promise<RefreshableSession | undefined> =>
      guarded(async () => {
        const isCurrent = eq(sessions.refresh_generation, presented.generation)
        const isRetried = and(
          eq(sessions.refresh_generation, presented.generation + 1),
          gte(sessions.rotated_at, presented.retryableSince),
        )
        const [row] = await orm
          .select({ user: userColumns, createdAt: sessions.created_at, expiresAt: sessions.expires_at })
          .from(sessions)
          .innerJoin(users, eq(users.id, sessions.user_id))
          .where(
            and(
              eq(sessions.id, presented.id),
              isActive(presented.now),
              gt(sessions.created_at, presented.createdAfter),
              users.is_active,
              or(isCurrent, isRetried),
            ),
          )
        return row
      }),

    /**
     * Rotates the cookie of an active session. A cookie that is older than the current one gets the
     * same successor. Returns undefined if the session has ended.
     */
    rotateCookie: (id: string, generation: number, now: Date): Promise<RotatedCookie | undefined> =>
      guarded(async () => {
        const isCurrent = sql`${sessions.cookie_generation} = ${generation}::integer`
        const [row] = await orm
          .update(sessions)
          .set({
            cookie_generation: sql`${sessions.cookie_generation} + CASE WHEN ${isCurrent} THEN 1 ELSE 0 END`,
            cookie_rotated_at: sql`CASE WHEN ${isCurrent} THEN ${now.toISOString()}::timestamptz
              ELSE ${sessions.cookie_rotated_at} END`,
          })
          .where(and(eq(sessions.id, id), eq(sessions.kind, 'browser'), isActive(now)))
          .returning({
            generation: sessions.cookie_generation,
            createdAt: sessions.created_at,
            isPersistent: sessions.is_persistent,
          })
        return row && { ...row, generation: row.generation ?? 0 }
      }),

    /** Records the use of browser sessions, unless one was recorded between `early` and `late`. */
    touchBrowserSessions: ({ ids, now, early, late, plain, persistent }: BrowserSessionUse): Promise<void> =>
      guarded(async () => {
        const at = sql`${now.toISOString()}::timestamptz`
        const end = ({ idle, lifetime }: Limits) =>
          sql`least(${at} + ${milliseconds(idle)}, ${sessions.created_at} + ${milliseconds(lifetime)})`
        const latest = sessions.last_used_at
        const isBrowser = and(eq(sessions.kind, 'browser'), isActive(now))
        const stale = orm
          .select({ id: sessions.id })
          .from(sessions)
          .where(and(inArray(sessions.id, [...ids]), isBrowser, or(lte(latest, early), gte(latest, late))))
          .for('no key update', { skipLocked: true })
        await orm
          .update(sessions)
          .set({
            last_used_at: now,
            expires_at: sql`CASE WHEN ${sessions.is_persistent} THEN ${end(persistent)} ELSE ${end(plain)} END`,
          })
          .where(inArray(sessions.id, stale))
      }),

    /** Ends one active session, of any user unless one is given. Returns whether it did. */
    endSession: (id: string, now: Date, userId?: string): Promise<boolean> =>
      guarded(async () => {
        const own = userId === undefined ? undefined : eq(sessions.user_id, userId)
        const rows = await orm
          .delete(sessions)
          .where(and(eq(sessions.id, id), isActive(now), own))
          .returning({ id: sessions.id })
        changes.sessionsEnded(rows.map((row) => row.id))
        return rows.length === 1
      }),

    /** Ends a user's active sessions, except of protected administrators. Returns how many. */
    endSessionsOf: (userId: string, now: Date, protectsAdministrators = false): Promise<number> =>
      guarded(async () => {
        // The lock waits for a concurrent promotion.
        const isNotAdministrator = sql`${sessions.user_id} IN (
          SELECT id FROM ${users} WHERE id = ${userId}::uuid AND NOT 'admin' = ANY (roles) FOR SHARE)`
        const condition = protectsAdministrators ? isNotAdministrator : undefined
        const rows = await orm
          .delete(sessions)
          .where(and(eq(sessions.user_id, userId), isActive(now), condition))
          .returning({ id: sessions.id })
        changes.sessionsEnded(rows.map(({ id }) => id))
        return rows.length
      }),
  }
}

interface RotatedRow extends SessionUser, Record<string, unknown> {
  readonly refresh_generation: number
  readonly expires_at: string
  readonly is_replayed: boolean
}

function rotationStatement({ id, generation, now, retryableSince, createdAfter, idle, lifetime }: Rotation) {
  const at = sql`${now.toISOString()}::timestamptz`
  const isCurrent = sql`s.refresh_generation = ${generation}::integer`
  const isRetried = sql`s.refresh_generation = ${generation + 1}::integer AND s.rotated_at >= ${retryableSince.toISOString()}::timestamptz`
  const isReplayed = sql`s.refresh_generation > ${generation}::integer AND NOT (${isRetried})`
  return sql`
    UPDATE ${sessions} s SET
      refresh_generation = CASE WHEN ${isCurrent} THEN s.refresh_generation + 1 ELSE s.refresh_generation END,
      rotated_at = CASE WHEN ${isCurrent} THEN ${at} ELSE s.rotated_at END,
      last_used_at = CASE WHEN ${isCurrent} THEN ${at} ELSE s.last_used_at END,
      expires_at = CASE
        WHEN ${isCurrent} THEN least(${at} + ${milliseconds(idle)}, s.created_at + ${milliseconds(lifetime)})
        ELSE s.expires_at END
    FROM ${users} u
    WHERE s.id = ${id} AND u.id = s.user_id AND u.is_active AND ${isActive(now, sql`s`)}
      AND s.created_at > ${createdAfter.toISOString()}::timestamptz AND s.refresh_generation >= ${generation}::integer
    RETURNING s.refresh_generation, s.expires_at, (${isReplayed}) AS is_replayed,
      u.id, u.username, u.full_name, u.is_active, to_json(u.roles) AS roles, u.must_change_password`
}

function milliseconds(count: number): SQL {
  return sql`make_interval(secs => ${count / 1000}::double precision)`
}
