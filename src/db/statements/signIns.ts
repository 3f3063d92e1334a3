import { type EventRow, eventCheck, eventCte } from '../audit/pending.ts'
import { type ChangeObserver, unobserved } from '../changes.ts'
import { databaseFailure, guarded, isRolledBack, lacksPrivilege, lostToConcurrency, waitedTooLong } from '../failure.ts'
import type { Client, Connection } from '../pool/connection.ts'
import { type FailureCount, failureRows, type ReadFailures, readFailureRows } from './throttle.ts'
import type { User } from './users.ts'

export type SignInStatements = ReturnType<typeof signInStatements>

export interface NewSession {
  readonly id: string
  readonly userId: string
  /** The verified hash. If the user has another one by now, no session starts. */
  readonly verifiedHash: string
  /** Failures that must not have changed. */
  readonly unlessChanged?: ReadFailures | undefined
  readonly now: Date
  readonly expiresAt: Date
  /**
   * When it ends at the latest, however often it is refreshed. Without it, sweeping takes longer.
   */
  readonly sweepAt?: Date
  /** 0 with a refresh token, null without. */
  readonly refreshGeneration: 0 | null
  readonly address: string | undefined
  readonly userAgent: string | undefined
  /**
   * Of a browser session, whether its cookie outlives the browser. Undefined for a token session.
   */
  readonly cookie?: { readonly isPersistent: boolean } | undefined
}

/** What a sign-in needs to know of a user. */
export type SignInUser = Omit<User, 'created_at'>

export interface FoundSignIn {
  readonly user: SignInUser | undefined
  readonly counts: readonly FailureCount[]
  readonly failures: ReadFailures
}

export interface StartedSession {
  /** Whether the time of the sign-in was recorded with it. */
  readonly isSignInRecorded: boolean
}

export function signInStatements(
  { client, needsTransactions }: Pick<Connection, 'client' | 'needsTransactions'>,
  changes: ChangeObserver = unobserved,
) {
  /** False once PostgreSQL has denied it: FOR SHARE requires the privilege UPDATE on `users`. */
  let canLock = true
  /** False once it has failed, and in a transaction, which a failure would end. */
  let canRecord = !needsTransactions

  async function insert(
    session: NewSession,
    event: EventRow | undefined,
    { isRecording = false, waits = true },
  ): Promise<StartedSession | undefined> {
    const now = session.now.toISOString()
    const { userId, unlessChanged: read } = session
    // Through the driver, which prepares it. Drizzle would plan raw SQL for every login.
    const [row] = await client`
      WITH started AS (
      INSERT INTO audittrail_sessions (id, user_id, created_at, last_used_at, expires_at, refresh_generation, address, user_agent,
                                       sweep_at, epoch, kind, cookie_generation, is_persistent)
      SELECT ${session.id}::uuid, id, ${now}::timestamptz, ${now}::timestamptz, ${session.expiresAt.toISOString()}::timestamptz,
             ${session.refreshGeneration}::integer, ${session.address ?? null}::text, ${session.userAgent ?? null}::text,
             ${session.sweepAt?.toISOString() ?? null}::timestamptz, (SELECT session_epoch FROM audittrail_instance WHERE id = 1),
             ${session.cookie ? 'browser' : 'token'}::text, ${session.cookie ? 0 : null}::integer,
             ${session.cookie?.isPersistent ?? false}::boolean
      FROM users WHERE id = ${userId}::uuid AND is_active AND hashed_password COLLATE "C" = ${session.verifiedHash}
      ${read ? client`AND ${failureRows(client, read.keys, read.now)} = ${read.rows}` : client``}
      ${canLock ? client`FOR SHARE` : client``} ${canLock && !waits ? client`NOWAIT` : client``}
      RETURNING id)${isRecording ? recording(client, userId, now) : client``}${eventCte(client, event, client`FROM started`)}
      SELECT id, ${eventCheck(client, event)}, ${isRecording ? isRecorded(client) : client`false`} AS is_recorded FROM started`
    if (!row) return undefined
    changes.sessionStarted(session.id, { userId, at: session.now })
    return { isSignInRecorded: row.is_recorded }
  }

  async function insertAlone(session: NewSession, event: EventRow | undefined, waits = true) {
    try {
      return await insert(session, event, { waits })
    } catch (error) {
      if (!canLock || !lacksPrivilege(error)) throw error
      canLock = false
      // The denial remains the error if this was in a transaction.
      return insert(session, event, {}).catch(() => Promise.reject(databaseFailure(error)))
    }
  }

  return {
    /**
     * Finds a user by name, compared without case, and the unexpired failures of up to three keys.
     */
    findSignIn: (username: string, keys: readonly string[], now: Date): Promise<FoundSignIn> =>
      guarded(async () => {
        const [row] = await client`
          SELECT found.*, counted.rows AS failures
          FROM (SELECT ${failureRows(client, keys, now)} AS rows) AS counted LEFT JOIN LATERAL (
            SELECT id, username, hashed_password, full_name, is_active, to_json(roles) AS roles, must_change_password
            FROM users WHERE lower(username COLLATE "C") = lower(${username} COLLATE "C") LIMIT 1) AS found ON true`
        const { failures: rows, ...user } = row as SignInUser & { readonly failures: string }
        return {
          user: user.id === null ? undefined : user,
          counts: readFailureRows(rows),
          failures: { keys, now, rows },
        }
      }),

    /**
     * Starts a session and inserts its event, unless the user was disabled or deleted, or the hash
     * or failures changed since they were read. Locks the user if allowed: a role that cannot lock
     * users cannot change them either. Records the sign-in if that neither fails nor waits.
     */
    insertSession: (session: NewSession, event?: EventRow): Promise<StartedSession | undefined> =>
      guarded(async () => {
        if (!canRecord) return insertAlone(session, event)
        try {
          return await insert(session, event, { isRecording: true })
        } catch (error) {
          if (!isRolledBack(error) || lostToConcurrency(error)) throw error
          // Which lock it waited for is unknown. There is no time to wait for the user's again.
          const started = await insertAlone(session, event, !waitedTooLong(error))
          canRecord = false
          return started
        }
      }),

    /** Records when a user last signed in. */
    recordSignIn: (userId: string, now: Date): Promise<void> =>
      guarded(async () => {
        const at = now.toISOString()
        await client`
          INSERT INTO audittrail_sign_ins AS known (user_id, last_at) VALUES (${userId}::uuid, ${at}::timestamptz)
          ON CONFLICT (user_id) DO UPDATE SET last_at = greatest(known.last_at, excluded.last_at)`
      }),
  }
}

/**
 * Returns CTEs that record when the user of the started session signed in. A locked row is skipped.
 */
function recording(client: Client, userId: string, now: string) {
  return client`,
    known AS (
      -- From the session too, so that the user is locked first, as by a deletion.
      SELECT record.user_id FROM started, audittrail_sign_ins AS record WHERE record.user_id = ${userId}::uuid
      FOR NO KEY UPDATE OF record SKIP LOCKED),
    renewed AS (
      UPDATE audittrail_sign_ins AS record SET last_at = greatest(record.last_at, ${now}::timestamptz)
      FROM known WHERE record.user_id = known.user_id RETURNING 1),
    added AS (
      INSERT INTO audittrail_sign_ins (user_id, last_at) SELECT ${userId}::uuid, ${now}::timestamptz FROM started
      WHERE NOT EXISTS (SELECT FROM audittrail_sign_ins WHERE user_id = ${userId}::uuid)
      ON CONFLICT DO NOTHING RETURNING 1)`
}

function isRecorded(client: Client) {
  return client`(EXISTS (SELECT FROM renewed) OR EXISTS (SELECT FROM added))`
}
