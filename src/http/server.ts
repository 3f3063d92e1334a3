import type { Clock } from '../clock.ts'
import { createApiKeyCheck } from '../domain/apiKeys/apiKeyCheck.ts'
import type { Deps } from '../domain/deps.ts'
import { createKeyRing, type KeyRing } from '../domain/keys/keyRing.ts'
import { AppError } from '../error.ts'
import { describeError } from '../telemetry/log.ts'
import { createDeviceCookies } from './auth/deviceCookie.ts'
import { createForwardAuth, createIsForwardAuth } from './auth/forwardAuth.ts'
import { atRoute, findMetadataPlace } from './discovery/metadata.ts'
import { createAccessLog, type Instrumentation, inTrace } from './edge/accessLog.ts'
import { methodsAt, refuseMethod } from './edge/allowedMethods.ts'
import { createClientAddress, createIsHttps, createIsShared } from './edge/clientAddress.ts'
import { createCors } from './edge/cors.ts'
import { createDeadline } from './edge/deadline.ts'
import { createRequestContexts } from './edge/requestContext.ts'
import { hasDecodableQuery, hasPlainHost, pathOf } from './edge/requestTarget.ts'
import { createResponseHeaders } from './edge/responseHeaders.ts'
import { isBeingRead } from './input/body.ts'
import { type ProblemContext, problemResponse } from './problem.ts'
import { createIsOauth, createRoutes, type Routes } from './routes.ts'
import { type AccessTokenSettings, createAccessTokens } from './tokens/accessTokens.ts'
import { createRefreshTokens } from './tokens/refreshTokens.ts'

export interface HttpSettings extends Omit<AccessTokenSettings, 'keyRing'> {
  /** `/api`, or empty for the root. */
  readonly basePath: string
  /** Addresses and networks in CIDR notation. */
  readonly trustedProxies: readonly string[]
  /** Origins whose pages may read answers, as browsers write them. */
  readonly corsOrigins: readonly string[]
  /** Undefined: no docs page and no document. */
  readonly docs: { readonly version: string } | undefined
  /** Milliseconds after which a request is answered with 503, whatever its handler still does. */
  readonly timeout?: number
  /** The process is about to end: `/ready` says so, and each answer is the last one of its connection. */
  readonly isEnding?: () => boolean
}

/** The whole of HTTP without a socket: what tests call, and what a server listens for. */
export interface Http {
  readonly routes: Routes
  /** The keys of this process: read when they are needed, and better every few seconds. */
  readonly keyRing: KeyRing
  handle(request: Request, peer?: string): Promise<Response>
  /** Answers 503 to those under way whose body is not there as a whole. Nothing was done for them yet. */
  giveUpUnfinished(): void
  /** Answers 503 to all that is under way, whatever their handlers still do. */
  giveUp(): void
}

/** Half of what `http/edge/listener` lets a connection be silent: who waits that long is answered. */
const answerWithin = 15_000

export function createHttp(deps: Deps, settings: HttpSettings, clock: Clock, observation: Instrumentation = {}): Http {
  const requestContexts = createRequestContexts()
  const { basePath, issuer, audience, isEnding = () => false } = settings
  const secretKeys = deps.settings.keys.secretKeys()
  const keyRing = createKeyRing(deps)
  const metadata = findMetadataPlace({ basePath, issuer })
  const tokens = createAccessTokens({ ...settings, keyRing }, clock)
  const apiKeys = createApiKeyCheck(deps)
  const verify = createForwardAuth({ deps, tokens, apiKeys, requestContexts })
  const routes = createRoutes({
    deps,
    deviceCookies: createDeviceCookies({ secretKeys, basePath }, requestContexts),
    tokens,
    apiKeys,
    forwardAuth: verify,
    refreshTokens: createRefreshTokens(secretKeys),
    keyRing,
    metadata,
    requestContexts,
    basePath,
    issuer,
    audience,
    docs: settings.docs,
    isEnding,
  })
  // Otherwise every request would compose the handler anew.
  routes.compile()
  const clientAddress = createClientAddress(settings.trustedProxies, deps.log)
  const isHttps = createIsHttps(settings.trustedProxies)
  const isShared = createIsShared(settings.trustedProxies)
  const isOauth = createIsOauth(basePath)
  const isVerify = createIsForwardAuth(basePath)
  const cors = createCors(settings.corsOrigins)
  const withHeaders = createResponseHeaders(basePath, cors, isEnding)
  const observe = createAccessLog(observation, deps.log, routes, basePath)
  const deadline = createDeadline<Request, Response>(settings.timeout ?? answerWithin)

  /** What can be said without a route, or what the route says. Never throws: this is the last net. */
  const answer = async (request: Request, path: string, context: ProblemContext): Promise<Response> => {
    if (isVerify(request, path)) return verify(request, context)
    try {
      if (!hasPlainHost(request))
        throw new AppError('invalid_request', 'The Host header must be a host name or an IP address.')
      if (request.method === 'OPTIONS') return tellMethods(request, path)
      if (refusedMethods.includes(request.method)) return refuseMethod(methodsAt(routes, path), context)
      if (!hasDecodableQuery(request.url))
        throw new AppError('invalid_request', 'The query string must be percent-encoded UTF-8.')
      return await routes.fetch(request)
    } catch (cause) {
      if (cause instanceof AppError) return problemResponse(cause, context)
      deps.log.error('request.failed', { request_id: context.requestId, ...describeError(cause) })
      return problemResponse(new AppError('internal', 'unexpected', { cause }), context)
    }
  }

  /** RFC 9110 §9.3.7, and a browser's question before it lets a page call us. */
  const tellMethods = (request: Request, path: string): Response => {
    const methods = methodsAt(routes, path)
    if (methods.length === 0) throw new AppError('not_found', 'This path does not exist.')
    const response = new Response(null, { status: 204, headers: { allow: [...methods, 'OPTIONS'].join(', ') } })
    cors.markPreflight(request, response.headers, methods)
    return response
  }

  const handle = async (request: Request, peer?: string): Promise<Response> => {
    const started = performance.now()
    const address = clientAddress(request, peer)
    const addressed = withHost(request)
    const asked = pathOf(addressed.url)
    const whole = hasPlainHost(request) ? atRoute(addressed, asked, metadata) : addressed
    const path = whole === addressed ? asked : pathOf(whole.url)
    const requestContext = requestContexts.begin(whole, {
      address,
      isSecure: isHttps(request, peer),
      isShared: isShared(request, peer),
    })
    const { requestId } = requestContext
    const context = { requestId, isOauth: isOauth(path) }
    const late = () => {
      requestContexts.abort(whole)
      return tooLate(context, isEnding())
    }
    const answered = await deadline.meet(answer(whole, path, context), whole, late)
    const response = withHeaders(answered, request, path, requestContext)
    observe(requestContext, { method: request.method, asked, path, status: response.status, started })
    return response
  }

  return {
    routes,
    keyRing,
    handle: inTrace(observation.traces, handle),
    giveUpUnfinished: () => deadline.expire(isBeingRead),
    giveUp: () => deadline.expire(() => true),
  }
}

/** One would give back what was sent, with its credentials; the other is for proxies. */
const refusedMethods = ['TRACE', 'CONNECT']

/** Without a Host (HTTP/1.0 allows it) Bun's URL is a path alone, which no router reads. */
function withHost(request: Request): Request {
  return request.url.startsWith('/') ? new Request(`http://localhost${request.url}`, request) : request
}

function tooLate(context: ProblemContext, isEnding: boolean): Response {
  const reason = isEnding ? 'The server is shutting down.' : 'The request timed out.'
  return problemResponse(new AppError('overloaded', `${reason} Try again shortly.`), context)
}
