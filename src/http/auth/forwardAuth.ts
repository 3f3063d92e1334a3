import { Elysia } from 'elysia'
import { type ApiKeyCheck, subjectOf } from '../../domain/apiKeys/apiKeyCheck.ts'
import { looksLikeApiKey } from '../../domain/apiKeys/apiKeyFormat.ts'
import type { Deps } from '../../domain/deps.ts'
import { isRole, mostRoles } from '../../domain/users/users.ts'
import { AppError } from '../../error.ts'
import { describeError } from '../../telemetry/log.ts'
import type { RequestContexts } from '../edge/requestContext.ts'
import { hasDecodableQuery, hasPlainHost } from '../edge/requestTarget.ts'
import { emptyOperation } from '../operation.ts'
import { type ProblemContext, problemResponse, statusOf } from '../problem.ts'
import type { AccessTokens } from '../tokens/accessTokens.ts'
import { bearerToken } from './authorization.ts'
import { type GuardedPrincipal, requirePrincipal } from './guard.ts'

/** Answers 204, 401, 403 or 503, and nothing else. Never throws. */
export type ForwardAuth = (request: Request, context: ProblemContext) => Promise<Response>

export interface VerifyServices {
  readonly deps: Deps
  readonly tokens: AccessTokens
  readonly apiKeys: ApiKeyCheck
  readonly requestContexts: RequestContexts
}

/** Who asks, a person or a program. */
interface Identity {
  readonly name: string
  readonly id: string
  readonly roles: readonly string[]
  /** Undefined for a program. */
  readonly sessionId: string | undefined
}

const route = '/auth/verify'
const verdicts: readonly number[] = [401, 403, 503]

/**
 * What Nginx asks about each request of another service (`auth_request`): it lets in on 2xx, hands on 401 and 403, and makes a 500 of
 * everything else. So neither method, body, Host nor query can lead to another answer, and what is not understood is refused.
 */
export function createForwardAuth({ deps, tokens, apiKeys, requestContexts }: VerifyServices): ForwardAuth {
  const requireUser = async (token: string | undefined): Promise<Identity> => {
    const principal = await requirePrincipal(deps, tokens, token)
    requireUnquarantined(principal)
    const { user, sessionId } = principal
    return { name: encoded(user.username), id: user.id, roles: user.roles, sessionId }
  }
  const requireService = async (text: string, request: Request): Promise<Identity> => {
    const apiKey = await apiKeys.require(text, 'roles', requestContexts.of(request).address)
    return { name: subjectOf(apiKey), id: apiKey.service_id, roles: apiKey.roles, sessionId: undefined }
  }
  return async (request, context) => {
    try {
      const shown = bearerToken(request)
      const identity = await (looksLikeApiKey(shown) ? requireService(shown, request) : requireUser(shown))
      requireAnyRole(identity, request)
      return new Response(null, { status: 204, headers: identityHeaders(identity) })
    } catch (cause) {
      if (cause instanceof AppError && verdicts.includes(statusOf(cause.code))) return problemResponse(cause, context)
      deps.log.error('request.failed', { request_id: context.requestId, ...describeError(cause) })
      return problemResponse(new AppError('unavailable', 'unexpected', { cause }), context)
    }
  }
}

/** Whether a request is one for it, were it one that every other route refuses for its Host. */
export function createIsForwardAuth(basePath: string): (request: Request, path: string) => boolean {
  const paths = [basePath + route, `${basePath}${route}/`]
  return (request, path) => paths.includes(path) || (!hasPlainHost(request) && request.url.includes(basePath + route))
}

/** Its place among the routes and in the document; `http/server` asks it before any of them. */
export function forwardAuthRoute(verify: ForwardAuth, requestIdOf: (request: Request) => string) {
  const text = emptyOperation({
    operationId: 'verify',
    tag: 'Keys',
    summary: 'Authorize a request for a reverse proxy',
    description:
      'For the `auth_request` directive of Nginx. A 204 response identifies the caller in `X-Auth-User` (characters other ' +
      'than `A-Za-z0-9._@+-` are percent-encoded), `X-Auth-User-Id`, `X-Auth-Roles` (comma-separated) and `X-Auth-Session`. ' +
      'For an API key with roles, `X-Auth-User` is `service:` and its name, `X-Auth-User-Id` is the id of the service, and ' +
      'there is no session. All methods are treated alike and the body is not read.',
    errors: ['password_change_required', 'forbidden'],
    isForUsers: true,
    apiKeyAccess: 'roles',
    hasNoCommonErrors: true,
  })
  const role = {
    name: 'role',
    in: 'query' as const,
    required: false,
    description: 'The caller needs at least one of these roles. An invalid role or an unknown parameter returns 403.',
    schema: { type: 'array' as const, items: { type: 'string' as const }, maxItems: mostRoles },
  }
  return new Elysia({ name: 'verify' }).get(
    route,
    ({ request }) => verify(request, { requestId: requestIdOf(request), isOauth: false }),
    { detail: { ...text.detail, parameters: [role] } },
  )
}

/** Refused as a whole, and not with 401: to sign in again would not help. */
function requireUnquarantined({ user, isForPasswordChange }: GuardedPrincipal): void {
  if (user.must_change_password || isForPasswordChange)
    throw new AppError('password_change_required', 'Change your password first: POST /auth/password.')
}

function requireAnyRole({ roles }: Identity, request: Request): void {
  // Whatever stands in such a Host moves the query along.
  if (!hasPlainHost(request)) throw refusal('The Host header is not a host name or address.')
  const wanted = wantedRoles(request.url)
  if (wanted.length === 0 || wanted.some((role) => roles.includes(role))) return
  throw refusal('This request requires another role.')
}

const oneRole = /^role=[a-z0-9_-]{1,32}$/

/**
 * The roles of the query, each `role=…`. Another parameter is refused, unlike everywhere else: whoever writes `roles=admin` into a proxy's
 * configuration must not find the door open.
 */
function wantedRoles(url: string): readonly string[] {
  const start = url.indexOf('?')
  if (start < 0 || start === url.length - 1) return []
  const query = url.slice(start + 1)
  // As Nginx sends it, which is what is asked all day.
  if (oneRole.test(query)) return [query.slice('role='.length)]
  if (!hasDecodableQuery(url)) throw refusal('The query is not percent-encoded UTF-8 text.')
  const parameters = [...new URLSearchParams(query)]
  if (parameters.length === 0 || parameters.length > mostRoles || !parameters.every(isRoleParameter))
    throw refusal('The query must contain only role=NAME parameters, each name 1 to 32 of the characters a-z 0-9 _ -.')
  return parameters.map(([, role]) => role)
}

function isRoleParameter([name, value]: readonly [string, string]): boolean {
  return name === 'role' && isRole(value)
}

function refusal(detail: string): AppError {
  return new AppError('forbidden', detail)
}

/** Values of these bytes alone: they cannot end a header, nor be taken for two roles. */
function identityHeaders({ name, id, roles, sessionId }: Identity): Record<string, string> {
  return {
    'x-auth-user': name,
    'x-auth-user-id': id,
    'x-auth-roles': roles.map(encoded).join(','),
    ...(sessionId === undefined ? {} : { 'x-auth-session': sessionId }),
    'cache-control': 'no-store',
  }
}

/** The characters of a username as they are; all else as UTF-8, percent-encoded, the percent sign too. */
function encoded(text: string): string {
  return text.replace(/[^A-Za-z0-9._@+-]/gu, (character) =>
    Buffer.from(character).reduce((all, byte) => `${all}%${byte.toString(16).toUpperCase().padStart(2, '0')}`, ''),
  )
}
