import { Elysia } from 'elysia'
import type { Deps } from '../domain/deps.ts'
import { findPrincipal, type Principal } from '../domain/sessions.ts'
import { AppError } from '../error.ts'
import type { Tokens } from './tokens.ts'

/** The routes that anyone may call. All others pass the guard; a test walks every route and holds it. */
export const openRoutes: readonly string[] = [
  'GET /health',
  'GET /ready',
  'POST /auth/login',
  'GET /openapi.json',
  'GET /docs',
  'GET /docs/page.css',
  'GET /docs/page.js',
  'GET /docs/swagger-ui.css',
  'GET /docs/swagger-ui-bundle.js',
]

export type Guard = ReturnType<typeof createGuard>

/**
 * Puts the `principal` into the context of the routes that use it, or refuses with `not_authenticated` (no token) or
 * `invalid_token` (a bad one, or its session has ended). The Authorization header is the only place for a token.
 */
export function createGuard(deps: Deps, tokens: Tokens) {
  return new Elysia({ name: 'guard' }).derive({ as: 'scoped' }, async ({ request }) => ({
    principal: await requirePrincipal(deps, tokens, request.headers.get('authorization')),
  }))
}

async function requirePrincipal(deps: Deps, tokens: Tokens, authorization: string | null): Promise<Principal> {
  if (authorization === null) throw new AppError('not_authenticated', 'Not authenticated')
  const claims = tokens.verify(bearerToken(authorization))
  const principal = claims && (await findPrincipal(deps, claims))
  if (!principal) throw new AppError('invalid_token', 'Could not validate credentials')
  return principal
}

/** RFC 6750 §2.1; the scheme's name has no case (RFC 9110 §11.1). What is no bearer token comes out as no token at all. */
function bearerToken(authorization: string): string {
  return /^Bearer +([^ ,]+)$/i.exec(authorization)?.[1] ?? ''
}
