import type { Clock } from '../clock.ts'
import type { Deps } from '../domain/deps.ts'
import { AppError } from '../error.ts'
import { createClientAddress } from './clientAddress.ts'
import { createExchanges, type Exchange } from './exchange.ts'
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
  /** `peer` is the address at the other end of the socket. */
  handle(request: Request, peer?: string): Promise<Response>
}

export interface Listener {
  /** As a person would open it. */
  readonly url: string
  readonly port: number
  /** Takes no new connection, and resolves when those under way are answered. */
  stop(): Promise<void>
}

/** Longest body that Bun takes in at all; ours are counted while they are read, and end far below it. */
const maxRequestBodySize = 1_048_576
/** Seconds without a byte after which a connection is closed. */
const idleTimeout = 30

export function createHttp(deps: Deps, settings: HttpSettings, clock: Clock): Http {
  const exchanges = createExchanges()
  const { basePath } = settings
  const routes = createRoutes({
    deps,
    tokens: createTokens(settings, clock),
    refreshTokens: createRefreshTokens(settings.secretKey),
    exchanges,
    basePath,
    docs: settings.docs,
  })
  // Otherwise every request would compose the handler anew.
  routes.compile()
  const clientAddress = createClientAddress(settings.trustedProxies, deps.log)
  const personal = [`${basePath}/auth/`, `${basePath}/users`]

  return {
    routes,
    async handle(request, peer) {
      const started = performance.now()
      const address = clientAddress(request, peer)
      const whole = withHost(request)
      const exchange = exchanges.begin(whole, address)
      const response = hasPlainHost(request) ? await answer(routes, whole, exchange) : refuseHost(exchange)
      const path = pathOf(whole.url)
      response.headers.set('x-request-id', exchange.requestId)
      response.headers.set('x-content-type-options', 'nosniff')
      if (personal.some((prefix) => path.startsWith(prefix))) response.headers.set('cache-control', 'no-store')
      deps.log.info('request', {
        method: request.method,
        path: path.slice(0, 200),
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
async function answer(routes: Routes, request: Request, { requestId }: Exchange): Promise<Response> {
  try {
    return await routes.fetch(request)
  } catch (cause) {
    return problemResponse(new AppError('internal', 'unexpected', { cause }), { requestId, isOauth: false })
  }
}

/** Listens, or throws `refused` when the port is taken or the address is not ours. */
export function listen(http: Http, { host, port }: { readonly host: string; readonly port: number }): Listener {
  const server = serve(http, host, port)
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${server.port}`,
    port: server.port ?? port,
    stop: () => server.stop(),
  }
}

function serve(http: Http, hostname: string, port: number) {
  try {
    return Bun.serve({
      hostname,
      port,
      // Two processes on one port would each get a part of the requests, and nobody would notice.
      reusePort: false,
      // Bun's development pages show paths and stacks to anyone.
      development: false,
      maxRequestBodySize,
      idleTimeout,
      fetch: (request, server) => http.handle(request, server.requestIP(request)?.address),
    })
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    const reason =
      code === 'EADDRINUSE'
        ? `Port ${port} on ${hostname} is taken by another program: stop that one, or set PORT to another.`
        : `Cannot listen on ${hostname} port ${port} (${code ?? 'unknown error'}): check HOST and PORT.`
    throw new AppError('refused', reason, { cause: error })
  }
}

/** Path of an absolute URL, without its query. */
function pathOf(url: string): string {
  const start = url.indexOf('/', url.indexOf('://') + 3)
  const end = url.indexOf('?', start)
  return start < 0 ? '/' : url.slice(start, end < 0 ? undefined : end)
}
