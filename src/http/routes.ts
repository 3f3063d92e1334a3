import { Elysia } from 'elysia'
import type { Deps } from '../domain/deps.ts'
import { AppError } from '../error.ts'
import { describeError } from '../log.ts'
import { accountRoutes } from './account.ts'
import type { Attempts } from './attempts.ts'
import { authRoutes } from './auth.ts'
import { blockRoutes } from './blocks.ts'
import { docsRoutes } from './docs.ts'
import type { Exchanges } from './exchange.ts'
import { createGuards } from './guard.ts'
import { healthRoutes } from './health.ts'
import { openApiDocument } from './openapi.ts'
import { problemResponse } from './problem.ts'
import type { RefreshTokens } from './refreshTokens.ts'
import type { Tokens } from './tokens.ts'
import { userRoutes } from './users.ts'

/** The endpoints that OAuth clients call: their errors have the form that such clients read. */
const oauthRoutes = ['/auth/login', '/auth/refresh', '/auth/revoke']

export interface RouteServices {
  readonly deps: Deps
  readonly tokens: Tokens
  readonly refreshTokens: RefreshTokens
  readonly attempts: Attempts
  readonly exchanges: Exchanges
  readonly basePath: string
  /** Undefined: no docs page and no document. */
  readonly docs: { readonly version: string } | undefined
}

/** Every route of the product, and what becomes of every error. */
export function createRoutes({ deps, tokens, refreshTokens, attempts, exchanges, basePath, docs }: RouteServices) {
  const guards = createGuards(deps, tokens)
  const oauthPaths = new Set(oauthRoutes.map((path) => basePath + path))

  // Elysia would look for the path behind the eleventh character, and take a part of it for a short host's name.
  // The type says the default path: clients of these types have to know the path when they are compiled.
  const app = new Elysia({ prefix: basePath as '/api', handler: { standardHostname: false } })
    .onError({ as: 'global' }, ({ error, code, request, path }) => {
      const { requestId } = exchanges.of(request)
      const isOauth = oauthPaths.has(path.replace(/\/$/, ''))
      const refusal = toAppError(error, code, isOauth)
      if (refusal.code === 'internal')
        deps.log.error('request.failed', { request_id: requestId, ...describeError(error) })
      if (code !== 'NOT_FOUND') return problemResponse(refusal, { requestId, isOauth })
      return problemForUnknownRoute(app, { path, requestId, isOauth })
    })
    .use(healthRoutes(deps))
    .use(authRoutes({ deps, tokens, refreshTokens, guards, attempts, exchanges }))
    .use(accountRoutes({ deps, guards, exchanges }))
    .use(userRoutes({ deps, guards }))
    .use(blockRoutes({ deps, guards }))
  if (docs) app.use(openApiDocument({ basePath, version: docs.version })).use(docsRoutes())
  return app
}

export type Routes = ReturnType<typeof createRoutes>

/** Elysia's own errors carry the request in their messages, so that none of their text is used. */
function toAppError(error: unknown, code: string | number, isOauth: boolean): AppError {
  if (error instanceof AppError) return error
  // What a body parser of ours throws arrives wrapped.
  if (error instanceof Error && error.cause instanceof AppError) return error.cause
  switch (code) {
    case 'NOT_FOUND':
      return new AppError('not_found', 'There is nothing at this path.')
    case 'PARSE':
    case 'INVALID_COOKIE_SIGNATURE':
      return new AppError('invalid_request', 'The request could not be decoded.')
    case 'VALIDATION':
      return invalidFields(error, isOauth)
    default:
      return new AppError('internal', 'unexpected', { cause: error })
  }
}

/** Names the fields that do not fit, never what they held. On an OAuth endpoint a missing field is a malformed request. */
function invalidFields(error: unknown, isOauth: boolean): AppError {
  const { type, all = [] } = error as { type?: string; all?: readonly { path?: string; schema?: { type?: string } }[] }
  // An id that is none names nothing.
  if (type === 'params') return new AppError('not_found', 'There is nothing at this path.')
  // A response that does not fit its schema is our fault.
  if (type === 'response') return new AppError('internal', 'unexpected', { cause: error })
  const names = new Set(all.map(({ path = '' }) => path.slice(1).replaceAll('/', '.')))
  const fields = [...names].map((field) => ({ field, message: 'is missing or not of the type that it takes' }))
  return new AppError(isOauth ? 'invalid_request' : 'invalid_fields', 'Some fields are missing or do not fit.', {
    fields,
  })
}

interface UnknownRoute {
  readonly path: string
  readonly requestId: string
  readonly isOauth: boolean
}

/** 405 with `Allow` where the path is served by other methods (RFC 9110 §15.5.6), 404 elsewhere. */
function problemForUnknownRoute(app: RouteList, { path, requestId, isOauth }: UnknownRoute): Response {
  const allowed = new Set(app.routes.filter((route) => fits(route.path, path)).map((route) => route.method))
  if (allowed.has('GET')) allowed.add('HEAD')
  if (allowed.size === 0)
    return problemResponse(new AppError('not_found', 'There is nothing at this path.'), { requestId, isOauth })
  const allow = [...allowed].sort().join(', ')
  const refusal = new AppError('method_not_allowed', `This path is served by ${allow}.`)
  const response = problemResponse(refusal, { requestId, isOauth })
  response.headers.set('allow', allow)
  return response
}

interface RouteList {
  readonly routes: readonly { readonly method: string; readonly path: string }[]
}

function fits(pattern: string, path: string): boolean {
  const [expected, given] = [pattern.split('/'), path.replace(/\/$/, '').split('/')]
  return (
    expected.length === given.length && expected.every((part, index) => part.startsWith(':') || part === given[index])
  )
}
