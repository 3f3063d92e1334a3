import { Elysia } from 'elysia'
import { type ApiKeyCheck, actorOf, type RequiredAccess } from '../../domain/apiKeys/apiKeyCheck.ts'
import { looksLikeApiKey } from '../../domain/apiKeys/apiKeyFormat.ts'
import type { Deps } from '../../domain/deps.ts'
import { findPrincipal, type Principal } from '../../domain/sessions/sessions.ts'
import type { Actor } from '../../domain/users/users.ts'
import { AppError } from '../../error.ts'
import type { RequestContexts } from '../edge/requestContext.ts'
import type { AccessTokens } from '../tokens/accessTokens.ts'
import { bearerToken, clientSecret } from './authorization.ts'

/** The routes that anyone may call. All others pass a guard; a test walks every route and holds it. */
export const openRoutes: readonly string[] = [
  'GET /health',
  'GET /ready',
  'POST /auth/login',
  'POST /auth/refresh',
  'POST /auth/revoke',
  'GET /.well-known/jwks.json',
  'GET /.well-known/oauth-authorization-server',
  'GET /openapi.json',
  'GET /docs',
  'GET /docs/page.css',
  'GET /docs/page.js',
  'GET /docs/swagger-ui.css',
  'GET /docs/swagger-ui-bundle.js',
]

/** Error codes of the guards for signed-in users, besides 401. */
export const guardErrors = ['password_change_required', 'forbidden'] as const

export type Guards = ReturnType<typeof createGuards>

export interface GuardServices {
  readonly deps: Deps
  readonly tokens: AccessTokens
  readonly apiKeys: ApiKeyCheck
  readonly requestContexts: RequestContexts
}

/** Who administers users: a person, or a program. */
export interface UserAdministrator {
  readonly actor: Actor
  /** Undefined for a program. */
  readonly sessionId: string | undefined
}

/**
 * Each puts the `principal` into the context of the routes that use it, or refuses: `not_authenticated` (no token),
 * `invalid_token` (a bad one, or its session has ended), `password_change_required`, `forbidden`. The Authorization header
 * is the only place for a token or key. Made once: Elysia tells plugins apart by their names.
 */
export function createGuards({ deps, tokens, apiKeys, requestContexts }: GuardServices) {
  const quarantined = (request: Request) => {
    const shown = bearerToken(request)
    if (looksLikeApiKey(shown)) return apiKeys.reject(shown, requestContexts.of(request).address)
    return requirePrincipal(deps, tokens, shown)
  }
  const signedIn = async (request: Request) => requireUnquarantined(await quarantined(request))
  const administrator = async (request: Request) => requireAdministrator(await signedIn(request))
  const requireKey = (text: string, need: RequiredAccess, request: Request) =>
    apiKeys.require(text, need, requestContexts.of(request).address)
  const administratorOrKey =
    (need: RequiredAccess) =>
    async (request: Request): Promise<UserAdministrator> => {
      const shown = bearerToken(request)
      if (looksLikeApiKey(shown))
        return { actor: actorOf(await requireKey(shown, need, request)), sessionId: undefined }
      const { user, sessionId } = await administrator(request)
      return { actor: { name: user.username, canManageAdministrators: true }, sessionId }
    }
  const introspector = async (request: Request) => {
    const secret = clientSecret(request)
    if (secret !== undefined) return requireKey(secret, 'introspect', request).catch(asClient)
    const shown = bearerToken(request)
    if (looksLikeApiKey(shown)) return requireKey(shown, 'introspect', request)
    await signedIn(request)
    throw new AppError('forbidden', 'This endpoint requires an API key with the scope introspect, not a user token.')
  }
  return {
    /** Signed in, were it with a password that must be changed first. */
    quarantined: guardBy('guard.quarantined', quarantined),
    signedIn: guardBy('guard.signedIn', signedIn),
    administrator: guardBy('guard.administrator', administrator),
    userReader: guardBy('guard.userReader', administratorOrKey('users:read')),
    userWriter: guardBy('guard.userWriter', administratorOrKey('users:write')),
    introspector: guardBy('guard.introspector', introspector),
  }
}

/** Asks once a request, and before its body is read: who may not come in is told so, whatever is sent along. */
function guardBy<Name extends string, Who>(name: Name, require: (request: Request) => Promise<Who>) {
  const asked = new WeakMap<Request, Promise<Who>>()
  const askOnce = (request: Request) => {
    const known = asked.get(request)
    if (known) return known
    const answer = require(request)
    asked.set(request, answer)
    return answer
  }
  return new Elysia({ name })
    .onParse({ as: 'scoped' }, async ({ request }) => {
      await askOnce(request)
    })
    .derive({ as: 'scoped' }, async ({ request }) => ({ principal: await askOnce(request) }))
}

export interface GuardedPrincipal extends Principal {
  /** The token was issued for changing the password and nothing else. */
  readonly isForPasswordChange: boolean
}

/** Whose token it is that a request shows. Throws `not_authenticated` or `invalid_token`; does not look at the quarantine. */
export async function requirePrincipal(
  deps: Deps,
  tokens: AccessTokens,
  token: string | undefined,
): Promise<GuardedPrincipal> {
  if (token === undefined) throw new AppError('not_authenticated', 'Not authenticated')
  const claims = tokens.verify(token) ?? (await tokens.verifyByNewKey(token))
  const principal = claims && (await findPrincipal(deps, claims))
  if (!principal) throw invalidToken()
  return { ...principal, isForPasswordChange: tokens.isForPasswordChange(claims) }
}

function requireUnquarantined(principal: GuardedPrincipal): GuardedPrincipal {
  if (principal.user.must_change_password) {
    throw new AppError('password_change_required', 'Change your password first: POST /auth/password.')
  }
  // Its audience is for three routes, whatever has become of the user since: sign in again.
  if (principal.isForPasswordChange) throw invalidToken()
  return principal
}

function requireAdministrator(principal: GuardedPrincipal): GuardedPrincipal {
  if (!principal.user.roles.includes('admin')) throw new AppError('forbidden', 'This endpoint requires the role admin.')
  return principal
}

function invalidToken(): AppError {
  return new AppError('invalid_token', 'Could not validate credentials')
}

/** What is wrong with a client's secret, in the words of RFC 6749 §5.2. */
function asClient(error: unknown): never {
  if (!(error instanceof AppError) || error.code !== 'invalid_token') throw error
  throw new AppError('invalid_client', 'The client secret is not a valid API key.')
}
