import type { ListedSession, RefreshableSession, SessionUser } from '../../db/statements/sessions.ts'
import { AppError, type TokenRefusal } from '../../error.ts'
import type { RefreshOutcome } from '../../telemetry/productMetrics.ts'
import { audited } from '../audit/audited.ts'
import { logEvent, partyOf } from '../audit/record.ts'
import type { Deps } from '../deps.ts'
import { endAudited } from './endAudited.ts'

export type { ListedSession, RefreshableSession }

/** The client that signed in, for the list of sessions. */
export interface Client {
  readonly address: string | undefined
  readonly userAgent: string | undefined
}

/** The contents of tokens. */
export interface Session {
  readonly id: string
  readonly user: SessionUser
  /** The lifetime of the access token in whole seconds. */
  readonly expiresIn: number
  /** When the session ends, unless it is used. */
  readonly expiresAt: Date
  /** The number of rotations. Null without a refresh token. */
  readonly refreshGeneration: number | null
}

/** The user and session of a request. */
export interface Principal {
  readonly sessionId: string
  readonly user: SessionUser
}

const dayMilliseconds = 86_400_000
/** Milliseconds in which a lost response may be retried: several tabs, a broken connection. */
const retryWindow = 10_000

/**
 * Returns the user of a token's session. Undefined if the session has ended or the user is gone,
 * renamed or disabled.
 */
export function findActiveUser(
  { database, clock }: Pick<Deps, 'database' | 'clock'>,
  token: { readonly sid: string; readonly uid: string; readonly sub: string },
): Promise<SessionUser | undefined> {
  return database.findActiveSession({
    id: token.sid,
    userId: token.uid,
    username: token.sub,
    now: new Date(clock()),
  })
}

/**
 * Rotates a session's refresh token. Its direct parent may be presented again within ten seconds
 * and gets the same successor. An older one is theft: the session ends, even though `invalid_grant`
 * is thrown (RFC 9700 §4.14.2).
 */
export async function refreshSession(deps: Deps, token: RefreshToken, address: string | undefined): Promise<Session> {
  try {
    const session = await rotateSession(deps, token, address)
    deps.metrics.refresh('succeeded')
    return session
  } catch (error) {
    deps.metrics.refresh(outcomeOf(error))
    throw error
  }
}

interface RefreshToken {
  readonly sessionId: string
  readonly generation: number
}

/** Returns the session that a refresh token would renew now, or undefined. Changes nothing. */
export function findRefreshable(deps: Deps, token: RefreshToken): Promise<RefreshableSession | undefined> {
  return deps.database.sessions.findRefreshableSession(showingOf(deps, token))
}

function showingOf({ clock, settings }: Deps, { sessionId, generation }: RefreshToken) {
  const now = clock()
  return {
    id: sessionId,
    generation,
    now: new Date(now),
    retryableSince: new Date(now - retryWindow),
    createdAfter: new Date(now - settings.refreshLifetimeDays * dayMilliseconds),
  }
}

async function rotateSession(deps: Deps, token: RefreshToken, address: string | undefined): Promise<Session> {
  const { database, settings } = deps
  const showing = showingOf(deps, token)
  const rotated = await database.sessions.rotate({
    ...showing,
    idle: settings.sessionIdleDays * dayMilliseconds,
    lifetime: settings.refreshLifetimeDays * dayMilliseconds,
  })
  if (!rotated) throw invalidGrant()
  if (rotated.isReplayed) {
    const { username } = rotated.user
    const event = { event: 'session.replayed', username, session: token.sessionId, address } as const
    await endAudited(deps, { sessionId: token.sessionId, by: { kind: 'anonymous' }, user: rotated.user }, event)
    throw invalidGrant('replayed')
  }
  const seconds = Math.floor(showing.now.getTime() / 1000)
  const expiresAt = Math.min(seconds + settings.accessTokenSeconds, Math.floor(rotated.expiresAt.getTime() / 1000))
  return {
    id: token.sessionId,
    user: rotated.user,
    expiresIn: expiresAt - seconds,
    expiresAt: rotated.expiresAt,
    refreshGeneration: rotated.generation,
  }
}

/** Ends a session for the holder of one of its tokens (RFC 7009). Returns whether it was active. */
export async function revokeSession(deps: Deps, sessionId: string): Promise<boolean> {
  return endAudited(deps, { sessionId }, { event: 'session.ended', session: sessionId, by: 'revocation' })
}

/** Ends the session of the request, or all of its user's. */
export async function logout(deps: Deps, { sessionId, user }: Principal, everywhere: boolean): Promise<void> {
  const own = { by: partyOf(user, sessionId), about: partyOf(user) }
  await audited(
    deps,
    async ({ sessions }) =>
      everywhere
        ? sessions.endSessionsOf(user.id, now(deps))
        : Number(await sessions.endSession(sessionId, now(deps), user.id)),
    (ended) => [{ event: { event: 'logout', username: user.username, session: sessionId, ended }, ...own }],
  )
}

/** Lists a user's active sessions, last used first. */
export function listSessions(deps: Deps, userId: string): Promise<ListedSession[]> {
  return deps.database.sessions.listActiveSessions(userId, now(deps))
}

/** Returns the session of the request. Throws `invalid_token` if it has just ended. */
export async function requireOwnSession(
  deps: Deps,
  { sessionId, user }: Principal,
  address: string | undefined,
): Promise<ListedSession> {
  const [session] = await deps.database.sessions.listActiveSessions(user.id, now(deps), sessionId)
  if (!session) throw refuseToken(deps, { reason: 'revoked', username: user.username, session: sessionId, address })
  return session
}

interface RefusedToken {
  readonly reason: TokenRefusal
  readonly username: string
  readonly session: string
  readonly address: string | undefined
}

/** Records that a token of ours is not accepted. Returns the error to throw. */
export function refuseToken(deps: Pick<Deps, 'log'>, refused: RefusedToken): AppError {
  logEvent(deps, { event: 'token.refused', ...refused })
  return new AppError('invalid_token', 'Could not validate credentials', { reason: refused.reason })
}

/** Ends one of a user's sessions. Throws `not_found` if the user has no such active session. */
export async function endSession(
  deps: Deps,
  user: { readonly id: string; readonly username: string },
  sessionId: string,
): Promise<void> {
  const event = { event: 'session.ended', username: user.username, session: sessionId, by: 'request' } as const
  const hasEnded = await endAudited(deps, { sessionId, by: partyOf(user), user, isOwn: true }, event)
  if (!hasEnded) throw new AppError('not_found', 'Session not found.')
}

function invalidGrant(reason?: 'replayed'): AppError {
  return new AppError('invalid_grant', 'The refresh token is invalid, expired or revoked. Sign in again.', { reason })
}

function outcomeOf(error: unknown): RefreshOutcome {
  if (!(error instanceof AppError)) return 'failed'
  if (error.code === 'invalid_grant') return error.reason === 'replayed' ? 'replayed' : 'invalid'
  return error.code === 'unavailable' || error.code === 'refused' ? 'unavailable' : 'failed'
}

function now({ clock }: Pick<Deps, 'clock'>): Date {
  return new Date(clock())
}
