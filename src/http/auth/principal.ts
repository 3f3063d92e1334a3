import type { Deps } from '../../domain/deps.ts'
import { findActiveUser, type Principal, refuseToken } from '../../domain/sessions/sessions.ts'
import { AppError, type ErrorCode } from '../../error.ts'
import type { RequestContexts } from '../edge/requestContext.ts'
import type { AccessClaims, AccessTokens } from '../tokens/accessTokens.ts'

/** The user and session of an access token. */
export interface TokenPrincipal extends Principal {
  /** The token was issued to a quarantined user, and only for changing the password. */
  readonly isForPasswordChange: boolean
  /** The credential was the cookie of a browser session. */
  readonly isByCookie?: boolean
}

/** The sessions whose credential is a cookie. */
export interface CookieSessions {
  /**
   * Returns the user and session of the cookie, if it is honored. Throws `forbidden` if the
   * request, or the one that a proxy asks about, comes from another origin.
   */
  find(request: Request, use: 'api' | 'verify'): Promise<TokenPrincipal | undefined>
  /** Replaces the cookie after a change of the password. */
  renew(request: Request): Promise<SetCookies>
  /** Deletes the cookie. */
  expire(request: Request): SetCookies
}

/** The values of Set-Cookie headers. */
export interface SetCookies {
  readonly setCookies: readonly string[]
}

export interface PrincipalServices {
  readonly deps: Deps
  readonly tokens: AccessTokens
  readonly requestContexts: RequestContexts
}

/** Throws `not_authenticated` or `invalid_token`. Accepts quarantined users. */
export async function requirePrincipal(
  services: PrincipalServices,
  request: Request,
  token: string | undefined,
): Promise<TokenPrincipal> {
  const { deps, tokens } = services
  if (token === undefined) throw new AppError('not_authenticated', 'Not authenticated')
  const claims = tokens.verify(token) ?? (await tokens.verifyByNewKey(token))
  const user = claims && (await findActiveUser(deps, claims))
  if (!user) throw invalidToken(services, request, claims, tokens.readExpired(token))
  return { user, sessionId: claims.sid, isForPasswordChange: tokens.isForPasswordChange(claims) }
}

/**
 * Throws `password_change_required` while the user must change the password, and `codeForOldToken`
 * for a token from before the change: it was issued for the change only.
 */
export function requireUnquarantined(
  { deps, requestContexts }: PrincipalServices,
  request: Request,
  principal: TokenPrincipal,
  codeForOldToken: Extract<ErrorCode, 'invalid_token' | 'password_change_required'>,
): TokenPrincipal {
  if (principal.user.must_change_password) throw passwordChangeRequired()
  if (!principal.isForPasswordChange) return principal
  if (codeForOldToken === 'password_change_required') throw passwordChangeRequired()
  const { user, sessionId: session } = principal
  const { address } = requestContexts.of(request)
  throw refuseToken(deps, { reason: 'revoked', username: user.username, session, address })
}

/**
 * Throws `invalid_token` if an administrator's session has ended, or they no longer have the role.
 * An access token may expire during a long response.
 */
export async function requireAdministratorStill(
  { deps }: PrincipalServices,
  { id: uid, username: sub }: Principal['user'],
  sid: string,
): Promise<void> {
  const user = await findActiveUser(deps, { sid, uid, sub })
  if (!user?.roles.includes('admin') || user.must_change_password)
    throw new AppError('invalid_token', 'Could not validate credentials')
}

/** Only a token that we signed gets a reason: its session has ended, or it has expired. */
function invalidToken(
  { deps, requestContexts }: PrincipalServices,
  request: Request,
  unexpired: AccessClaims | undefined,
  expired: AccessClaims | undefined,
): AppError {
  const claims = unexpired ?? expired
  if (!claims) return new AppError('invalid_token', 'Could not validate credentials')
  const { sub: username, sid: session } = claims
  const { address } = requestContexts.of(request)
  return refuseToken(deps, { reason: unexpired ? 'revoked' : 'expired', username, session, address })
}

function passwordChangeRequired(): AppError {
  return new AppError('password_change_required', 'Change your password first: POST /auth/password.')
}
