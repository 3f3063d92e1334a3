import { randomUUID } from 'node:crypto'
import type { SessionUser } from '../db/sessions.ts'
import type { Deps } from './deps.ts'

/** A session that has just begun. Times are in whole seconds since the epoch, as in a JWT (RFC 7519 §2, NumericDate). */
export interface Session {
  readonly id: string
  readonly user: SessionUser
  readonly expiresAt: number
}

/** Who a request comes from. */
export interface Principal {
  readonly sessionId: string
  readonly user: SessionUser
}

const agentLength = 256

/** Starts a session that lives as long as its access token. */
export async function startSession(
  { database, clock, accessTokenSeconds }: Deps,
  user: SessionUser,
  client: { readonly address: string | undefined; readonly userAgent: string | undefined },
): Promise<Session> {
  const now = clock()
  const expiresAt = Math.floor(now / 1000) + accessTokenSeconds
  const session = { id: randomUUID(), user, expiresAt }
  await database.sessions.insertSession({
    id: session.id,
    user_id: user.id,
    created_at: new Date(now),
    last_used_at: new Date(now),
    expires_at: new Date(expiresAt * 1000),
    address: client.address ?? null,
    user_agent: client.userAgent?.slice(0, agentLength) ?? null,
  })
  return session
}

/** The principal of a token's session; undefined once the session has ended or its user is gone, renamed or disabled. */
export async function findPrincipal(
  { database, clock }: Pick<Deps, 'database' | 'clock'>,
  token: { readonly sid: string; readonly uid: string; readonly sub: string },
): Promise<Principal | undefined> {
  const user = await database.sessions.findLiveSession({
    id: token.sid,
    userId: token.uid,
    username: token.sub,
    now: new Date(clock()),
  })
  return user && { sessionId: token.sid, user }
}
