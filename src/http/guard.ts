import { Elysia } from 'elysia'
import type { Deps } from '../domain/deps.ts'
import { findPrincipal, type Principal } from '../domain/sessions.ts'
import { AppError } from '../error.ts'
import type { Tokens } from './tokens.ts'

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

export type Guards = ReturnType<typeof createGuards>

/**
 * Each puts the `principal` into the context of the routes that use it, or refuses: `not_authenticated` (no token),
 * `invalid_token` (a bad one, or its session has ended), `password_change_required`, `forbidden`. The Authorization header
 * is the only place for a token. Made once: Elysia tells plugins apart by their names.
 */
export function createGuards(deps: Deps, tokens: Tokens) {
  const quarantined = (request: Request) => requirePrincipal(deps, tokens, request.headers.get('authorization'))
  const signedIn = async (request: Request) => requireUnquarantined(await quarantined(request))
  const administrator = async (request: Request) => requireAdministrator(await signedIn(request))
  return {
    /** Signed in, were it with a password that must be changed first. */
    quarantined: guardBy('guard.quarantined', quarantined),
    signedIn: guardBy('guard.signedIn', signedIn),
    administrator: guardBy('guard.administrator', administrator),
  }
}

/** Asks once a request, and before its body is read: who may not come in is told so, whatever is sent along. */
function guardBy<Name extends string>(name: Name, require: (request: Request) => Promise<GuardedPrincipal>) {
  const asked = new WeakMap<Request, Promise<GuardedPrincipal>>()
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

/** Whose token the Authorization header has. Throws `not_authenticated` or `invalid_token`; does not look at the quarantine. */
export async function requirePrincipal(
  deps: Deps,
  tokens: Tokens,
  authorization: string | null,
): Promise<GuardedPrincipal> {
  if (authorization === null) throw new AppError('not_authenticated', 'Not authenticated')
  const token = bearerToken(authorization)
  const claims = tokens.verify(token) ?? (await tokens.verifyByNewKey(token))
  const principal = claims && (await findPrincipal(deps, claims))
  if (!principal) throw invalidToken()
  return { ...principal, isForPasswordChange: tokens.isForPasswordChange(claims) }
}

function requireUnquarantined(principal: GuardedPrincipal): GuardedPrincipal {
  if (principal.user.must_change_password) {
    throw new AppError('password_change_required', 'The password must be changed first: POST /auth/password.')
  }
  // Its audience is for three routes, whatever has become of the user since: sign in again.
  if (principal.isForPasswordChange) throw invalidToken()
  return principal
}

function requireAdministrator(principal: GuardedPrincipal): GuardedPrincipal {
  if (!principal.user.roles.includes('admin')) throw new AppError('forbidden', 'This needs the role admin.')
  return principal
}

function invalidToken(): AppError {
  return new AppError('invalid_token', 'Could not validate credentials')
}

/** RFC 6750 §2.1; the scheme's name has no case (RFC 9110 §11.1). What is no bearer token comes out as no token at all. */
function bearerToken(authorization: string): string {
  return /^Bearer +([^ ,]+)$/i.exec(authorization)?.[1] ?? ''
}
