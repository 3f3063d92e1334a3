import { Elysia } from 'elysia'
import type { ApiKeyCheck } from '../domain/apiKeys/apiKeyCheck.ts'
import type { Deps } from '../domain/deps.ts'
import type { KeyRing } from '../domain/keys/keyRing.ts'
import { AppError } from '../error.ts'
import { describeError } from '../telemetry/log.ts'
import { apiKeyRoutes } from './admin/apiKeys.ts'
import { lockoutRoutes } from './admin/lockouts.ts'
import { userChangeRoutes } from './admin/userChanges.ts'
import { userRoutes } from './admin/users.ts'
import { activityRoute } from './audit/activity.ts'
import { auditEventRoute } from './audit/events.ts'
import { publishedLogRoutes } from './audit/publishedLog.ts'
import { accountRoutes } from './auth/account.ts'
import type { DeviceCookies } from './auth/deviceCookie.ts'
import { type ForwardAuth, forwardAuthRoute } from './auth/forwardAuth.ts'
import { createGuards } from './auth/guard.ts'
import { introspectionRoute } from './auth/introspection.ts'
import { requireLockedByDefault } from './auth/lockedByDefault.ts'
import { loginRoute } from './auth/login.ts'
import { refreshRoute } from './auth/refresh.ts'
import { revocationRoute } from './auth/revocation.ts'
import type { BrowserAccess } from './browser/browserAccess.ts'
import { sessionRoutes } from './browser/session.ts'
import { docsRoutes } from './discovery/docs.ts'
import { jwksRoute } from './discovery/jwks.ts'
import { createLanding, landingRoute } from './discovery/landing.ts'
import { type MetadataLocation, metadataRoute } from './discovery/metadata.ts'
import { openApiDocument } from './discovery/openapi.ts'
import type { OpenStreams } from './edge/openStreams.ts'
import type { RequestContexts } from './edge/requestContext.ts'
import { methodNotAllowed, type RouteTable } from './edge/routeTable.ts'
import { invalidFields, type SchemaError } from './input/fieldErrors.ts'
import { pageRouteNames, pageRoutes } from './pages/pageRoutes.ts'
import { healthRoutes } from './probes/health.ts'
import { problemResponse } from './problem.ts'
import type { AccessTokens } from './tokens/accessTokens.ts'
import type { RefreshTokens } from './tokens/refreshTokens.ts'

interface OpenRoutes {
  readonly always: readonly string[]
  /** If ISSUER is a URL. */
  readonly metadata: readonly string[]
  /** Unless DOCS=off. */
  readonly docs: readonly string[]
  /** Unless PAGES=off, besides the pages, which check their cookie in their handlers. */
  readonly pages: readonly string[]
}

/** The routes that need no credentials. `createRoutes` throws for any other one without a guard. */
export const openRoutes: OpenRoutes = {
  always: [
    'GET /health',
    'GET /ready',
    'POST /auth/login',
    'POST /auth/refresh',
    'POST /auth/revoke',
    'GET /.well-known/jwks.json',
    'GET /',
  ],
  metadata: ['GET /.well-known/oauth-authorization-server'],
  docs: [
    'GET /openapi.json',
    'GET /docs',
    'GET /docs/page.css',
    'GET /docs/page.js',
    'GET /docs/swagger-ui.css',
    'GET /docs/swagger-ui-bundle.js',
  ],
  pages: ['POST /auth/session', 'DELETE /auth/session'],
}

/** Forward auth has its own status codes, so no guard can throw for it. */
const selfGuarded = ['GET /auth/verify']

/** The endpoints for OAuth clients. Their errors have the form that such clients read. */
const oauthRoutes = ['/auth/login', '/auth/refresh', '/auth/revoke', '/auth/introspect']

export interface RouteServices {
  readonly deps: Deps
  readonly tokens: AccessTokens
  readonly apiKeys: ApiKeyCheck
  readonly forwardAuth: ForwardAuth
  readonly refreshTokens: RefreshTokens
  readonly deviceCookies: DeviceCookies
  readonly keyRing: KeyRing
  /** Undefined if ISSUER is not a URL: there is no metadata then. */
  readonly metadata: MetadataLocation | undefined
  readonly requestContexts: RequestContexts
  readonly openStreams: OpenStreams
  readonly methodsOf: RouteTable['methodsOf']
  readonly basePath: string
  readonly issuer: string
  readonly audience: string
  /** Undefined: no docs page and no OpenAPI document. */
  readonly docs: { readonly version: string } | undefined
  /** Undefined with PAGES=off: no page, and no cookie is accepted. */
  readonly pages: { readonly title: string; readonly browserAccess: BrowserAccess } | undefined
  /** Returns whether the process is shutting down. */
  readonly isEnding: () => boolean
}

/** Returns a check for the paths of `oauthRoutes`, with or without a trailing slash. */
export function createIsOauth(basePath: string): (path: string) => boolean {
  const paths = new Set(oauthRoutes.flatMap((path) => [basePath + path, `${basePath}${path}/`]))
  return (path) => paths.has(path)
}

/** Composes the routes and the error handler. Throws if one is neither guarded nor declared. */
export function createRoutes(services: RouteServices, declared: OpenRoutes = openRoutes) {
  const { deps, forwardAuth, keyRing, metadata, requestContexts, basePath, docs, pages, isEnding } = services
  const guards = createGuards({ ...services, browserAccess: pages?.browserAccess })
  const isOauthPath = createIsOauth(basePath)

  // With `standardHostname`, the router would not find the path after a short host name.
  // The prefix has the type of the default: Eden clients need the path at compile time.
  const app = new Elysia({ prefix: basePath as '/api', handler: { standardHostname: false } })
    .onError({ as: 'global' }, ({ error, code, request, path }) => {
      const { requestId } = requestContexts.of(request)
      const isOauth = isOauthPath(path)
      const appError = toAppError(error, code, isOauth)
      if (appError.code === 'internal')
        deps.log.error('request.failed', { request_id: requestId, ...describeError(error) })
      const methods = code === 'NOT_FOUND' ? services.methodsOf(path) : []
      // If the path has a route for this method, its parameter was not found: no 405.
      return methods.length > 0 && !methods.includes(request.method)
        ? methodNotAllowed(methods, { requestId, isOauth })
        : problemResponse(appError, { requestId, isOauth })
    })
    .use(landingRoute(createLanding({ basePath, hasDocs: docs !== undefined })))
    .use(healthRoutes(deps, keyRing, isEnding))
    .use(loginRoute(services))
    .use(refreshRoute(services))
    .use(revocationRoute(services))
    .use(introspectionRoute({ ...services, guards }))
    .use(accountRoutes({ deps, guards, requestContexts, browserAccess: pages?.browserAccess }))
    .use(userRoutes({ deps, guards }))
    .use(userChangeRoutes({ deps, guards, requestContexts }))
    .use(lockoutRoutes({ deps, guards, requestContexts }))
    .use(apiKeyRoutes({ deps, guards, requestContexts }))
    .use(auditEventRoute({ ...services, guards }))
    .use(publishedLogRoutes({ deps, guards }))
    .use(activityRoute({ deps, guards }))
    .use(jwksRoute(keyRing))
    .use(forwardAuthRoute(forwardAuth, (request) => requestContexts.of(request).requestId, pages !== undefined))
  if (pages) app.use(sessionRoutes(pages.browserAccess))
  if (metadata) app.use(metadataRoute(keyRing, metadata))
  if (docs)
    app.use(openApiDocument({ basePath, version: docs.version, acceptsCookies: pages !== undefined })).use(docsRoutes())
  if (pages)
    app.use(pageRoutes({ deps, requestContexts, basePath, pageTitle: pages.title, browserAccess: pages.browserAccess }))
  const open = [
    ...declared.always,
    ...(metadata ? declared.metadata : []),
    ...(docs ? declared.docs : []),
    ...(pages ? [...declared.pages, ...pageRouteNames] : []),
  ]
  requireLockedByDefault(app.routes, { basePath, unguarded: { open, selfGuarded } })
  return app
}

export type Routes = ReturnType<typeof createRoutes>

/** Elysia's errors have request values in their messages, so none of their text is used. */
function toAppError(error: unknown, code: string | number, isOauth: boolean): AppError {
  if (error instanceof AppError) return error
  // Elysia wraps the errors of our body parsers.
  if (error instanceof Error && error.cause instanceof AppError) return error.cause
  switch (code) {
    case 'NOT_FOUND':
      return new AppError('not_found', 'This path does not exist.')
    case 'PARSE':
    case 'INVALID_COOKIE_SIGNATURE':
      return new AppError('invalid_request', 'The request could not be decoded.')
    case 'VALIDATION':
      return validationError(error, isOauth)
    default:
      return new AppError('internal', 'unexpected', { cause: error })
  }
}

/** On OAuth endpoints, invalid fields are an `invalid_request`. */
function validationError(error: unknown, isOauth: boolean): AppError {
  const { type, all = [] } = error as { type?: string; all?: readonly SchemaError[] }
  // No resource has an id that is not a UUID.
  if (type === 'params') return new AppError('not_found', 'This path does not exist.')
  // An invalid response is a bug of the server.
  if (type === 'response') return new AppError('internal', 'unexpected', { cause: error })
  return invalidFields(isOauth ? 'invalid_request' : 'invalid_fields', all)
}
