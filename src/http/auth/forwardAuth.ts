import { Elysia } from 'elysia'
import type { ApiKeyCheck } from '../../domain/apiKeys/apiKeyCheck.ts'
import { looksLikeApiKey } from '../../domain/apiKeys/apiKeyFormat.ts'
import { subjectOf } from '../../domain/apiKeys/serviceSubject.ts'
import { AppError } from '../../error.ts'
import { describeError } from '../../telemetry/log.ts'
import { isRole, maxRoles } from '../../userFields.ts'
import { hasDecodableQuery, hasValidHost } from '../edge/requestTarget.ts'
import { prepareHeaders } from '../edge/responseHeaders.ts'
import { sourceOf } from '../edge/source.ts'
import { emptyOperation } from '../operation.ts'
import { type ProblemContext, problemResponse, statusOf } from '../problem.ts'
import { bearerToken, hasBearer } from './authorization.ts'
import { type CookieSessions, type PrincipalServices, requirePrincipal, requireUnquarantined } from './principal.ts'

/** Returns 204, 401, 403 or 503, and nothing else. Never throws. */
export type ForwardAuth = (request: Request, context: ProblemContext) => Promise<Response>

export interface ForwardAuthServices extends PrincipalServices {
  readonly apiKeys: ApiKeyCheck
  /** Undefined with PAGES=off. */
  readonly browserAccess?: CookieSessions | undefined
}

/** The caller: a user or a service. */
interface Identity {
  readonly name: string
  readonly id: string
  readonly roles: readonly string[]
  /** Undefined for a service. */
  readonly sessionId: string | undefined
}

const route = '/auth/verify'
const errorStatuses: readonly number[] = [401, 403, 503]

/**
 * For `auth_request` of Nginx, which allows 2xx, passes on 401 and 403, and turns any other status
 * into a 500. So no method, body, Host or query leads to another status, and the unknown is denied.
 */
export function createForwardAuth(services: ForwardAuthServices): ForwardAuth {
  const { deps, apiKeys, requestContexts, browserAccess } = services
  const requireUser = async (token: string | undefined, request: Request): Promise<Identity> => {
    // Not a 401: a proxy may redirect that to the sign-in page, which does not end a quarantine.
    const byCookie =
      browserAccess && !token && !hasBearer(request) ? await browserAccess.find(request, 'verify') : undefined
    const principal = byCookie ?? (await requirePrincipal(services, request, token))
    const { user, sessionId } = requireUnquarantined(services, request, principal, 'password_change_required')
    return { name: percentEncode(user.username), id: user.id, roles: user.roles, sessionId }
  }
  const requireService = async (credential: string, request: Request): Promise<Identity> => {
    const apiKey = await apiKeys.require(credential, 'roles', sourceOf(requestContexts, request))
    return { name: subjectOf(apiKey), id: apiKey.service_id, roles: apiKey.roles, sessionId: undefined }
  }
  return async (request, context) => {
    try {
      const credential = bearerToken(request)
      const identity = await (looksLikeApiKey(credential)
        ? requireService(credential, request)
        : requireUser(credential, request))
      requireAnyRole(identity, request)
      return identify(identity)
    } catch (cause) {
      if (cause instanceof AppError && errorStatuses.includes(statusOf(cause.code)))
        return problemResponse(cause, context)
      deps.log.error('request.failed', { request_id: context.requestId, ...describeError(cause) })
      return problemResponse(new AppError('unavailable', 'unexpected', { cause }), context)
    }
  }
}

/** Returns whether a request is for this route, even with a Host that other routes reject. */
export function createIsForwardAuth(basePath: string) {
  const paths = [basePath + route, `${basePath}${route}/`]
  return ({ url }: Request, path: string, isHostValid: boolean): boolean =>
    paths.includes(path) || (!isHostValid && url.includes(basePath + route))
}

const cookieText =
  ' Whether a cookie is accepted depends on `X-Original-Method`, `X-Original-Upgrade`, `Sec-Fetch-Site`, `Sec-Fetch-Mode`, ' +
  '`Sec-Fetch-Dest` and `Origin`, which the proxy passes on from the original request. Without `X-Original-Method`, it is ' +
  'accepted only from pages of the same origin.'

/** The route in the OpenAPI document. `http/server` calls the handler before any route. */
export function forwardAuthRoute(
  verify: ForwardAuth,
  requestIdOf: (request: Request) => string,
  acceptsCookies: boolean,
) {
  const { detail } = emptyOperation({
    operationId: 'verify',
    tag: 'Keys',
    summary: 'Authorize a request for a reverse proxy',
    description:
      'For the `auth_request` directive of Nginx. A 204 response identifies the caller in `X-Auth-User` (characters other ' +
      'than `A-Za-z0-9._@+-` are percent-encoded), `X-Auth-User-Id`, `X-Auth-Roles` (comma-separated) and `X-Auth-Session`. ' +
      'For an API key with roles, `X-Auth-User` is `service:` and its name, `X-Auth-User-Id` is the id of the service, and ' +
      'there is no session. All methods are treated alike and the body is not read.' +
      (acceptsCookies ? cookieText : ''),
    errors: ['password_change_required', 'forbidden'],
    isForUsers: true,
    acceptsCookie: true,
    apiKeyAccess: 'roles',
    hasNoCommonErrors: true,
  })
  const role = {
    name: 'role',
    in: 'query' as const,
    required: false,
    description: 'The caller needs at least one of these roles. An invalid role or an unknown parameter returns 403.',
    schema: { type: 'array' as const, items: { type: 'string' as const }, maxItems: maxRoles },
  }
  return new Elysia({ name: 'verify' }).get(
    route,
    ({ request }) => verify(request, { requestId: requestIdOf(request), isOauth: false }),
    { detail: { ...detail, parameters: [role] } },
  )
}

function requireAnyRole({ roles }: Identity, request: Request): void {
  // With such a Host, the query of the parsed URL is not the one that was sent.
  if (!hasValidHost(request)) throw forbidden('The Host header must be a host name or an IP address.')
  const accepted = acceptedRoles(request.url)
  if (accepted.length === 0 || accepted.some((role) => roles.includes(role))) return
  throw forbidden('This request requires another role.')
}

const singleRole = /^role=[a-z0-9_-]{1,32}$/

/**
 * Returns the roles of the `role` parameters. Unlike elsewhere, an unknown parameter is rejected:
 * a typo such as `roles=admin` in a proxy's configuration must not allow everyone.
 */
function acceptedRoles(url: string): readonly string[] {
  const start = url.indexOf('?')
  if (start < 0 || start === url.length - 1) return []
  const query = url.slice(start + 1)
  // The usual query, without the cost of parsing it.
  if (singleRole.test(query)) return [query.slice('role='.length)]
  if (!hasDecodableQuery(url)) throw forbidden('The query string must be percent-encoded UTF-8.')
  const parameters = [...new URLSearchParams(query)]
  if (parameters.length === 0 || parameters.length > maxRoles || !parameters.every(isRoleParameter))
    throw forbidden(
      'The query must contain only role=NAME parameters, each name 1 to 32 of the characters a-z 0-9 _ -.',
    )
  return parameters.map(([, role]) => role)
}

function isRoleParameter([name, value]: readonly [string, string]): boolean {
  return name === 'role' && isRole(value)
}

function forbidden(detail: string): AppError {
  return new AppError('forbidden', detail)
}

const accepted = { status: 204, headers: prepareHeaders({}) }

/** All values are ASCII: none can end a header or pass for two roles. */
function identify({ name, id, roles, sessionId }: Identity): Response {
  const response = new Response(null, accepted)
  const { headers } = response
  headers.set('x-auth-user', name)
  headers.set('x-auth-user-id', id)
  headers.set('x-auth-roles', roles.map(percentEncode).join(','))
  if (sessionId !== undefined) headers.set('x-auth-session', sessionId)
  return response
}

/** Returns the text with all characters percent-encoded that a username cannot have. */
function percentEncode(text: string): string {
  return text.replace(/[^A-Za-z0-9._@+-]/gu, (character) =>
    Buffer.from(character).reduce((all, byte) => `${all}%${byte.toString(16).toUpperCase().padStart(2, '0')}`, ''),
  )
}
