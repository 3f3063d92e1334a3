import type { Deps } from '../../domain/deps.ts'
import { findPrincipal, type Principal } from '../../domain/sessions/sessions.ts'
import { AppError, type ErrorCode } from '../../error.ts'
import type { AccessTokens } from '../tokens/accessTokens.ts'

/** The user and session of an access token. */
export interface TokenPrincipal extends Principal {
  /** The token was issued to a quarantined user, and only for changing the password. */
  readonly isForPasswordChange: boolean
}

/** Throws `not_authenticated` or `invalid_token`. Accepts quarantined users. */
export async function requirePrincipal(
  deps: Deps,
  tokens: AccessTokens,
  token: string | undefined,
): Promise<TokenPrincipal> {
  if (token === undefined) throw new AppError('not_authenticated', 'Not authenticated')
  const claims = tokens.verify(token) ?? (await tokens.verifyByNewKey(token))
  const principal = claims && (await findPrincipal(deps, claims))
  if (!principal) throw invalidToken()
  return { ...principal, isForPasswordChange: tokens.isForPasswordChange(claims) }
}

/**
 * Throws `password_change_required` while the user must change the password, and `codeForOldToken`
 * for a token from before the change: it was issued for the change only.
 */
export function requireUnquarantined(
  principal: TokenPrincipal,
  codeForOldToken: Extract<ErrorCode, 'invalid_token' | 'password_change_required'>,
): TokenPrincipal {
  if (principal.user.must_change_password) throw passwordChangeRequired()
  if (!principal.isForPasswordChange) return principal
  throw codeForOldToken === 'invalid_token' ? invalidToken() : passwordChangeRequired()
}

function invalidToken(): AppError {
  return new AppError('invalid_token', 'Could not validate credentials')
}

function passwordChangeRequired(): AppError {
  return new AppError('password_change_required', 'Change your password first: POST /auth/password.')
}
