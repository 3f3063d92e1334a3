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
import { accountRoutes } from './auth/account.ts'
import type { DeviceCookies } from './auth/deviceCookie.ts'
import { type ForwardAuth, forwardAuthRoute } from './auth/forwardAuth.ts'
import { createGuards } from './auth/guard.ts'
import { introspectionRoute } from './auth/introspection.ts'
import { authRoutes } from './auth/login.ts'
import { revocationRoute } from './auth/revocation.ts'
import { docsRoutes } from './discovery/docs.ts'
import { jwksRoute } from './discovery/jwks.ts'
import { type MetadataPlace, metadataRoute } from './discovery/metadata.ts'
import { openApiDocument } from './discovery/openapi.ts'
import { methodsAt, refuseMethod } from './edge/allowedMethods.ts'
import type { RequestContexts } from './edge/requestContext.ts'
import { healthRoutes } from './probes/health.ts'
import { problemResponse } from './problem.ts'
import type { AccessTokens } from './tokens/accessTokens.ts'
import type { RefreshTokens } from './tokens/refreshTokens.ts'

/** The endpoints that OAuth clients call: their errors have the form that such clients read. */
const oauthRoutes = ['/auth/login', '/auth/refresh', '/auth/revoke', '/auth/introspect']

export interface RouteServices {
  readonly deps: Deps
  readonly tokens: AccessTokens
  readonly apiKeys: ApiKeyCheck
  readonly forwardAuth: ForwardAuth
  readonly refreshTokens: RefreshTokens
  readonly deviceCookies: DeviceCookies
  readonly keyRing: KeyRing
  /** Undefined: ISSUER is no URL, and there is no metadata. */
  readonly metadata: MetadataPlace | undefined
  readonly requestContexts: RequestContexts
  readonly basePath: string
  readonly issuer: string
  readonly audience: string
  /** Undefined: no docs page and no document. */
  readonly docs: { readonly version: string } | undefined
  /** The process is about to end. */
  readonly isEnding: () => boolean
}

/** Whether a path is one of them, with or without a slash at its end. */
export function createIsOauth(basePath: string): (path: string) => boolean {
  const paths = new Set(oauthRoutes.flatMap((path) => [basePath + path, `${basePath}${path}/`]))
  return (path) => paths.has(path)
}

/** Every route of the product, and what becomes of every error. */
export function createRoutes(services: RouteServices) {
  const { deps, forwardAuth: verify, keyRing, metadata, requestContexts, basePath, docs, isEnding } = services
  const guards = createGuards(services)
  const isOauthPath = createIsOauth(basePath)

  // Elysia would look for the path behind the eleventh character, and take a part of it for a short host's name.
  // The type says the default path: clients of these types have to know the path when they are compiled.
  const app = new Elysia({ prefix: basePath as '/api', handler: { standardHostname: false } })
    .onError({ as: 'global' }, ({ error, code, request, path }) => {
      const { requestId } = requestContexts.of(request)
      const isOauth = isOauthPath(path)
      const refusal = toAppError(error, code, isOauth)
      if (refusal.code === 'internal')
        deps.log.error('request.failed', { request_id: requestId, ...describeError(error) })
      const methods = code === 'NOT_FOUND' ? methodsAt(app, path) : []
      // A path that is served by this method and was still not found has a parameter that nothing is named by.
      return methods.length > 0 && !methods.includes(request.method)
        ? refuseMethod(methods, { requestId, isOauth })
        : problemResponse(refusal, { requestId, isOauth })
    })
    .use(healthRoutes(deps, isEnding))
    .use(authRoutes({ ...services, guards }))
    .use(revocationRoute(services))
    .use(introspectionRoute({ ...services, guards }))
    .use(accountRoutes({ deps, guards, requestContexts }))
    .use(userRoutes({ deps, guards }))
    .use(userChangeRoutes({ deps, guards, requestContexts }))
    .use(lockoutRoutes({ deps, guards }))
    .use(apiKeyRoutes({ deps, guards }))
    .use(jwksRoute(keyRing))
    .use(forwardAuthRoute(verify, (request) => requestContexts.of(request).requestId))
  if (metadata) app.use(metadataRoute(keyRing, metadata))
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
  const fields = [...names].map((field) => ({ field, message: 'is missing or invalid' }))
  return new AppError(isOauth ? 'invalid_request' : 'invalid_fields', 'Some fields are missing or invalid.', {
    fields,
  })
}
