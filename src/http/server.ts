import type { Clock } from '../clock.ts'
import { createApiKeyCheck } from '../domain/apiKeys/apiKeyCheck.ts'
import type { Deps } from '../domain/deps.ts'
import { createKeyRing, type KeyRing } from '../domain/keys/keyRing.ts'
import { AppError } from '../error.ts'
import { describeError } from '../telemetry/log.ts'
import { createDeviceCookies } from './auth/deviceCookie.ts'
import { createForwardAuth, createIsForwardAuth, type ForwardAuth } from './auth/forwardAuth.ts'
import { createBrowserAccess } from './browser/browserAccess.ts'
import { createLanding, type Landing } from './discovery/landing.ts'
import { locateMetadata, resolveAlias } from './discovery/metadata.ts'
import { createAccessLog, type Instrumentation, inTrace } from './edge/accessLog.ts'
import { createClientOf } from './edge/clientAddress.ts'
import { type Cors, createCors } from './edge/cors.ts'
import { createDeadline } from './edge/deadline.ts'
import { createOpenStreams } from './edge/openStreams.ts'
import { createRefusedOriginLog } from './edge/refusedOrigins.ts'
import { createRequestContexts, type RequestContext, type RequestContexts } from './edge/requestContext.ts'
import { hasDecodableQuery, hasValidHost, pathOf, withAbsoluteUrl } from './edge/requestTarget.ts'
import { createResponseHeaders } from './edge/responseHeaders.ts'
import { createRouteTable, methodNotAllowed, type RouteTable } from './edge/routeTable.ts'
import { isBodyIncomplete } from './input/body.ts'
import { createHasTarget } from './pages/returnTarget.ts'
import { type ProblemContext, problemResponse } from './problem.ts'
import { createIsOauth, createRoutes, type Routes } from './routes.ts'
import { type AccessTokenSettings, createAccessTokens } from './tokens/accessTokens.ts'
import { createRefreshTokens } from './tokens/refreshTokens.ts'

export interface HttpSettings extends Omit<AccessTokenSettings, 'keyRing'> {
  /** `/api`, or empty for the root. */
  readonly basePath: string
  /** Addresses and networks in CIDR notation. */
  readonly trustedProxies: readonly string[]
  /** Origins, as browsers write them, whose pages may read responses. */
  readonly corsOrigins: readonly string[]
  /** Undefined disables the docs page and the OpenAPI document. */
  readonly docs: { readonly version: string } | undefined
  /** Undefined disables signing in by browser. */
  readonly pages?: { readonly title: string; readonly publicOrigins: readonly string[] } | undefined
  /** Milliseconds after which a request gets 503, even if its handler still runs. */
  readonly timeout?: number
  /**
   * Returns whether the server is shutting down: `/ready` returns 503, responses close connections.
   */
  readonly isEnding?: () => boolean
}

/** All of HTTP except the socket: tests call `handle` directly. */
export interface Http {
  readonly routes: Routes
  /** Reads the signing keys on demand. Call `follow` to keep them fresh. */
  readonly keyRing: KeyRing
  handle(request: Request, peer?: string): Promise<Response>
  /** Returns 503 to requests whose body is incomplete. Nothing was done for them yet. */
  expireIncompleteRequests(): void
  /**
   * Returns 503 to all pending requests, even if their handlers still run, and breaks off responses
   * that are sent in parts.
   */
  expireAllRequests(): void
}

/** Half of the idle timeout in `http/edge/listener`, so a waiting client always gets a response. */
const defaultTimeout = 15_000

export function createHttp(
  deps: Deps,
  settings: HttpSettings,
  clock: Clock,
  instrumentation: Instrumentation = {},
): Http {
  const { basePath, trustedProxies, corsOrigins, isEnding = () => false } = settings
  const requestContexts = createRequestContexts()
  const openStreams = createOpenStreams()
  const keyRing = createKeyRing(deps)
  const metadata = locateMetadata(settings)
  const credentials = createCredentials(deps, { ...settings, keyRing }, requestContexts, clock)
  const landing = createLanding({ basePath, hasDocs: settings.docs !== undefined })
  const forwardAuth = createForwardAuth({ deps, requestContexts, ...credentials })
  const routes = createRoutes({
    ...settings,
    ...credentials,
    deps,
    forwardAuth,
    keyRing,
    metadata,
    requestContexts,
    openStreams,
    pages:
      settings.pages && credentials.browserAccess
        ? { title: settings.pages.title, browserAccess: credentials.browserAccess }
        : undefined,
    isEnding,
    methodsOf: (path) => routeTable.methodsOf(path),
  })
  // Without this, Elysia composes the handler again for each request.
  routes.compile()
  const routeTable = createRouteTable(routes, basePath)

  const clientOf = createClientOf(trustedProxies, deps.log)
  const isOauth = createIsOauth(basePath)
  const cors = createCors(corsOrigins, createRefusedOriginLog(deps.log))
  const dispatch = createDispatch({ basePath, routes, routeTable, forwardAuth, landing, cors })
  const withHeaders = createResponseHeaders(cors, isEnding)
  const logAccess = createAccessLog(instrumentation, deps.log, routeTable)
  const deadline = createDeadline<Exchange>(settings.timeout ?? defaultTimeout, {
    finish: ({ received, requestedPath, path, requestContext, started }, result) => {
      const response = withHeaders(result, received, requestContext)
      logAccess(requestContext, { method: received.method, requestedPath, path, status: response.status, started })
      return response
    },
    fail: ({ problemContext }, error) => failureResponse(deps.log, error, problemContext),
    timeOut: ({ request, problemContext }) => {
      requestContexts.abort(request)
      return timeoutResponse(problemContext, isEnding())
    },
  })

  const handle = (received: Request, peer?: string): Promise<Response> => {
    const started = performance.now()
    const absolute = withAbsoluteUrl(received)
    const requestedPath = pathOf(absolute.url)
    const isHostValid = hasValidHost(received)
    const request = isHostValid ? resolveAlias(absolute, requestedPath, metadata) : absolute
    const path = request === absolute ? requestedPath : pathOf(request.url)
    const requestContext = requestContexts.begin(request, clientOf(received, peer))
    const problemContext = { requestId: requestContext.requestId, isOauth: isOauth(path) }
    const exchange = { received, request, requestedPath, path, isHostValid, requestContext, problemContext, started }
    return deadline.race(dispatch(exchange), exchange)
  }

  return {
    routes,
    keyRing,
    handle: inTrace(instrumentation.traces, handle),
    expireIncompleteRequests: () => deadline.expire(({ request }) => isBodyIncomplete(request)),
    expireAllRequests: () => {
      deadline.expire(() => true)
      openStreams.endAll()
    },
  }
}

/** Returns what makes and checks credentials. */
function createCredentials(
  deps: Deps,
  settings: HttpSettings & AccessTokenSettings,
  requestContexts: RequestContexts,
  clock: Clock,
) {
  const { secretKeys } = deps.settings.keys
  const { basePath, pages } = settings
  const deviceCookies = createDeviceCookies({ secretKeys, basePath }, requestContexts)
  return {
    tokens: createAccessTokens(settings, clock),
    refreshTokens: createRefreshTokens(secretKeys),
    apiKeys: createApiKeyCheck(deps),
    deviceCookies,
    browserAccess: pages && createBrowserAccess({ ...pages, deps, deviceCookies, requestContexts }),
  }
}

interface DispatchServices {
  readonly basePath: string
  readonly routes: Routes
  readonly routeTable: RouteTable
  readonly forwardAuth: ForwardAuth
  readonly landing: Landing
  readonly cors: Cors
}

/** A request on its way to its response. */
interface Exchange {
  readonly received: Request
  /** Differs from `received` if the URL was completed or is an alias. */
  readonly request: Request
  /** The path that the client sent. */
  readonly requestedPath: string
  /** The path that is routed. */
  readonly path: string
  readonly isHostValid: boolean
  readonly requestContext: RequestContext
  readonly problemContext: ProblemContext
  /** By `performance.now()`. */
  readonly started: number
}

type Dispatch = (exchange: Exchange) => Promise<Response>

/** Passes a request to its route, or responds to it directly. May reject, never throws. */
function createDispatch({ basePath, routes, routeTable, forwardAuth, landing, cors }: DispatchServices): Dispatch {
  const isForwardAuth = createIsForwardAuth(basePath)
  const hasTarget = createHasTarget(basePath)

  /** RFC 9110 §9.3.7, and CORS preflights. */
  const optionsResponse = (request: Request, path: string): Response => {
    const methods = routeTable.methodsOf(path)
    if (methods.length === 0) throw new AppError('not_found', 'This path does not exist.')
    const response = new Response(null, { status: 204, headers: { allow: [...methods, 'OPTIONS'].join(', ') } })
    cors.markPreflight(request, response.headers, methods)
    return response
  }

  const respond = ({ request, path, isHostValid, problemContext }: Exchange): Response | Promise<Response> => {
    if (isForwardAuth(request, path, isHostValid)) return forwardAuth(request, problemContext)
    if (!isHostValid) throw new AppError('invalid_request', 'The Host header must be a host name or an IP address.')
    if (request.method === 'OPTIONS') return optionsResponse(request, path)
    if (unsupportedMethods.includes(request.method)) return methodNotAllowed(routeTable.methodsOf(path), problemContext)
    // Only pages have a `return`, which is not decoded.
    if (!hasTarget(path) && !hasDecodableQuery(request.url))
      throw new AppError('invalid_request', 'The query string must be percent-encoded UTF-8.')
    if (path === '/' && isGetOrHead(request)) return landing(request, path)
    return routes.fetch(request)
  }

  return (exchange) => {
    try {
      const response = respond(exchange)
      return response instanceof Promise ? response : Promise.resolve(response)
    } catch (error) {
      return Promise.reject(error)
    }
  }
}

function failureResponse(log: Deps['log'], error: unknown, context: ProblemContext): Response {
  if (error instanceof AppError) return problemResponse(error, context)
  log.error('request.failed', { request_id: context.requestId, ...describeError(error) })
  return problemResponse(new AppError('internal', 'unexpected', { cause: error }), context)
}

function isGetOrHead({ method }: Request): boolean {
  return method === 'GET' || method === 'HEAD'
}

/** TRACE would echo the request with its credentials. CONNECT is for proxies. */
const unsupportedMethods = ['TRACE', 'CONNECT']

function timeoutResponse(context: ProblemContext, isEnding: boolean): Response {
  const reason = isEnding ? 'The server is shutting down.' : 'The request timed out.'
  return problemResponse(new AppError('overloaded', `${reason} Try again shortly.`), context)
}
