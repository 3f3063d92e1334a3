import { type EventRow, eventCheck, eventCte } from '../audit/pending.ts'
import { type ChangeObserver, unobserved } from '../changes.ts'
import { databaseFailure, guarded, lacksPrivilege } from '../failure.ts'
import type { Connection } from '../pool/connection.ts'

export type SignInStatements = ReturnType<typeof signInStatements>

export interface NewSession {
  readonly id: string
  readonly userId: string
  /** The verified hash. If the user has another one by now, no session starts. */
  readonly verifiedHash: string
  readonly now: Date
  readonly expiresAt: Date
  /** When it ends at the latest, however often it is refreshed. Without it, sweeping takes longer. */
  readonly sweepAt?: Date
  /** 0 with a refresh token, null without. */
  readonly refreshGeneration: 0 | null
  readonly address: string | undefined
  readonly userAgent: string | undefined
  /** Of a browser session, whether its cookie outlives the browser. Undefined for a token session. */
  readonly cookie?: { readonly isPersistent: boolean } | undefined
}

export function signInStatements({ client }: Pick<Connection, 'client'>, changes: ChangeObserver = unobserved) {
  /** False once PostgreSQL has denied it: FOR SHARE requires the privilege UPDATE on `users`. */
  let canLock = true

  async function insert(session: NewSession, event: EventRow | undefined): Promise<boolean> {
    const now = session.now.toISOString()
    // Through the driver, which prepares it. Drizzle would plan raw SQL for every login.
    const rows = await client`
      WITH started AS (
      INSERT INTO audittrail_sessions (id, user_id, created_at, last_used_at, expires_at, refresh_generation, address, user_agent,
                                       sweep_at, epoch, kind, cookie_generation, is_persistent)
      SELECT ${session.id}::uuid, id, ${now}::timestamptz, ${now}::timestamptz, ${session.expiresAt.toISOString()}::timestamptz,
             ${session.refreshGeneration}::integer, ${session.address ?? null}::text, ${session.userAgent ?? null}::text,
             ${session.sweepAt?.toISOString() ?? null}::timestamptz, (SELECT session_epoch FROM audittrail_instance WHERE id = 1),
             ${session.cookie ? 'browser' : 'token'}::text, ${session.cookie ? 0 : null}::integer,
             ${session.cookie?.isPersistent ?? false}::boolean
      FROM users WHERE id = ${session.userId}::uuid AND is_active AND hashed_password COLLATE "C" = ${session.verifiedHash}
      ${canLock ? client`FOR SHARE` : client``}
      RETURNING id)${eventCte(client, event, client`FROM started`)}
      SELECT id, ${eventCheck(client, event)} FROM started`
    if (rows.length === 1) changes.sessionStarted(session.id, { userId: session.userId, at: session.now })
    return rows.length === 1
  }

  return {
    /**
     * Starts a session unless the user was disabled, deleted or given another password since the
     * hash was read. Returns whether it did. Locking the user orders it against concurrent changes;
     * a role that cannot lock users cannot make those changes either. Inserts the event with it.
     */
    insertSession: (session: NewSession, event?: EventRow): Promise<boolean> =>
      guarded(async () => {
        try {
          return await insert(session, event)
        } catch (error) {
          if (!canLock || !lacksPrivilege(error)) throw error
          canLock = false
          // The denial remains the error if this was in a transaction.
          return insert(session, event).catch(() => Promise.reject(databaseFailure(error)))
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
