import type { Clock } from '../clock.ts'
import type { Deps } from '../domain/deps.ts'
import { AppError } from '../error.ts'
import { describeError, type Log } from '../log.ts'
import { createAttempts } from './attempts.ts'
import { createClientAddress, createIsHttps, createIsShared } from './clientAddress.ts'
import { createExchanges, type Exchange } from './exchange.ts'
import { loggedPath } from './loggedPath.ts'
import { problemResponse } from './problem.ts'
import { createRefreshTokens } from './refreshTokens.ts'
import { createRoutes, type Routes } from './routes.ts'
import { createTokens, type TokenSettings } from './tokens.ts'

export interface HttpSettings extends TokenSettings {
  /** `/api`, or empty for the root. */
  readonly basePath: string
  /** Addresses and networks in CIDR notation. */
  readonly trustedProxies: readonly string[]
  /** Undefined: no docs page and no document. */
  readonly docs: { readonly version: string } | undefined
}

/** The whole of HTTP without a socket: what tests call, and what a server listens for. */
export interface Http {
  readonly routes: Routes
  handle(request: Request, peer?: string): Promise<Response>
}

export function createHttp(deps: Deps, settings: HttpSettings, clock: Clock): Http {
  const exchanges = createExchanges()
  const { basePath } = settings
  const routes = createRoutes({
    deps,
    tokens: createTokens(settings, clock),
    refreshTokens: createRefreshTokens(settings.secretKey),
    attempts: createAttempts(settings, exchanges),
    exchanges,
    basePath,
    docs: settings.docs,
  })
  // Otherwise every request would compose the handler anew.
  routes.compile()
  const clientAddress = createClientAddress(settings.trustedProxies, deps.log)
  const isHttps = createIsHttps(settings.trustedProxies)
  const isShared = createIsShared(settings.trustedProxies)
  const personal = [`${basePath}/auth/`, `${basePath}/users`]

  return {
    routes,
    async handle(request, peer) {
      const started = performance.now()
      const address = clientAddress(request, peer)
      const whole = withHost(request)
      const exchange = exchanges.begin(whole, {
        address,
        isSecure: isHttps(request, peer),
        isShared: isShared(request, peer),
      })
      const response = hasPlainHost(request) ? await answer(routes, whole, exchange, deps.log) : refuseHost(exchange)
      const path = pathOf(whole.url)
      response.headers.set('x-request-id', exchange.requestId)
      response.headers.set('x-content-type-options', 'nosniff')
      if (personal.some((prefix) => path.startsWith(prefix))) response.headers.set('cache-control', 'no-store')
      deps.log.info('request', {
        method: request.method,
        path: loggedPath(path),
        status: response.status,
        duration_ms: Math.round((performance.now() - started) * 100) / 100,
        address,
        request_id: exchange.requestId,
      })
      return response
    },
  }
}

/** A name or address and a port. A slash in it would move the path along, and every rule about paths with it. */
const plainHost = /^[A-Za-z0-9._~:[\]-]*$/

function hasPlainHost(request: Request): boolean {
  return plainHost.test(request.headers.get('host') ?? '')
}

function refuseHost({ requestId }: Exchange): Response {
  return problemResponse(new AppError('invalid_request', 'The Host header is not a host name or address.'), {
    requestId,
    isOauth: false,
  })
}

/** Without a Host (HTTP/1.0 allows it) Bun's URL is a path alone, which no router reads. */
function withHost(request: Request): Request {
  return request.url.startsWith('/') ? new Request(`http://localhost${request.url}`, request) : request
}

/** The last net: whatever slips through the framework's own error handling is still an answer of ours. */
async function answer(routes: Routes, request: Request, { requestId }: Exchange, log: Log): Promise<Response> {
  try {
    return await routes.fetch(request)
  } catch (cause) {
    log.error('request.failed', { request_id: requestId, ...describeError(cause) })
    return problemResponse(new AppError('internal', 'unexpected', { cause }), { requestId, isOauth: false })
  }
}

/** Path of an absolute URL, without its query. */
function pathOf(url: string): string {
  const start = url.indexOf('/', url.indexOf('://') + 3)
  const end = url.indexOf('?', start)
  return start < 0 ? '/' : url.slice(start, end < 0 ? undefined : end)
}
