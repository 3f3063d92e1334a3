import { endsConnection } from '../../db/failure.ts'
import type { NewSession, SignInUser } from '../../db/statements/signIns.ts'
import type { ReadFailures } from '../../db/statements/throttle.ts'
import { AppError } from '../../error.ts'
import { auditedStatement } from '../audit/audited.ts'
import type { AuditEvent } from '../audit/events.ts'
import { partyOf } from '../audit/record.ts'
import type { Deps } from '../deps.ts'
import { endAudited } from './endAudited.ts'
import { createSessionId } from './sessionId.ts'
import { endsOf, type SessionKind } from './sessionLimits.ts'
import type { Client, Session } from './sessions.ts'

const agentLength = 256

/** A sign-in whose password was just verified. */
export interface VerifiedSignIn {
  readonly user: SignInUser
  readonly client: Client
  readonly kind: SessionKind
  /** Failures that must not have changed since they were read. */
  readonly failures: ReadFailures | undefined
  readonly eventOf: (sessionId: string) => AuditEvent
}

export interface StartedSession {
  readonly session: Session
  /** Whether the time of the sign-in was recorded with it. */
  readonly isSignInRecorded: boolean
}

/**
 * Starts a session. Returns undefined if the user was disabled, deleted or given another password
 * since, or if the failures have changed.
 */
export async function startSession(
  deps: Deps,
  { user, client, kind, failures, eventOf }: VerifiedSignIn,
): Promise<StartedSession | undefined> {
  const { database, clock, settings } = deps
  const now = clock()
  const ends = endsOf(settings, kind, now)
  const refreshGeneration = kind === 'refreshable' ? 0 : null
  const session: Session = {
    id: createSessionId(now),
    user,
    expiresIn: settings.accessTokenSeconds,
    expiresAt: ends.expiresAt,
    refreshGeneration,
  }
  const started: NewSession = {
    id: session.id,
    userId: user.id,
    verifiedHash: user.hashed_password,
    unlessChanged: failures,
    now: new Date(now),
    ...ends,
    refreshGeneration,
    address: client.address,
    userAgent: client.userAgent?.slice(0, agentLength),
    cookie: kind === 'browser' || kind === 'persistent' ? { isPersistent: kind === 'persistent' } : undefined,
  }
  const record = { event: eventOf(session.id), by: partyOf(user), about: partyOf(user) }
  const starting = auditedStatement(
    { ...deps, source: deps.source ?? { address: client.address, agent: client.userAgent } },
    record,
    (row) => database.signIns.insertSession(started, row),
    (inserted) => inserted !== undefined,
  )
  // If the connection was lost, it may have started. After a timeout PostgreSQL cancels the
  // statement.
  starting.catch((error: unknown) => {
    if (error instanceof AppError && endsConnection(error)) void abandonSession(deps, session.id)
  })
  const inserted = await starting
  return inserted && { session, ...inserted }
}

/** Ends the session of a sign-in that failed, if the database can. */
export async function abandonSession(deps: Deps, sessionId: string): Promise<void> {
  await endAudited(deps, { sessionId }, { event: 'session.ended', session: sessionId, by: 'failure' }).catch(() => {})
}
