import { AppError } from '../../error.ts'
import { findListeningSocket, type ListeningSocket } from '../../system/listeningSocket.ts'
import { problemResponse } from '../problem.ts'
import { createIsHttps } from './clientAddress.ts'
import { createCors } from './cors.ts'
import { requestIdOf } from './requestContext.ts'
import { pathOf } from './requestTarget.ts'
import { createResponseHeaders } from './responseHeaders.ts'

// Import nothing heavy: this runs before Elysia is loaded.

/** `peer` is the remote address of the socket. */
export type Handler = (request: Request, peer?: string) => Response | Promise<Response>

export interface Listener {
  readonly url: string
  readonly port: number
  /** Call it at least a second before `stop`, so that fewer connections are lost. */
  prepareToStop(): void
  /**
   * Accepts no new connections and closes idle ones. Resolves when all pending requests are
   * finished and all connections closed. Does not wait for requests whose headers are incomplete.
   */
  stop(): Promise<void>
}

/** Bun's own limit in bytes. `http/input/body` enforces a lower one while it reads. */
const maxRequestBodySize = 1_048_576
/** Milliseconds for a TCP handshake to complete. */
const handshakeDelay = 2
/** Milliseconds for the first request on a new connection to arrive. */
const firstRequestDelay = 50
const pollInterval = 10
/** Seconds. */
export interface IdleTimeouts {
  /** Of a connection without a request, and of a large response that the client does not read. */
  readonly unanswered: number
  /** Of a connection after a response. Longer than load balancers keep unused connections. */
  readonly answered: number
}

const defaultTimeouts: IdleTimeouts = { unanswered: 30, answered: 75 }

/** These responses do not fit into the kernel's buffers. Bun cannot tell when they were read. */
const largeResponse = /\/(?:docs|openapi\.json)(?:[/?]|$)/

/** Throws `refused` if the port is in use or the address is not on this machine. */
export function listen(
  { host, port }: { readonly host: string; readonly port: number },
  handle: Handler,
  timeouts = defaultTimeouts,
): Listener {
  const server = serve(handle, host, port, timeouts)
  let socket: ListeningSocket | undefined
  const prepareToStop = () => {
    socket ??= findListeningSocket(server.port ?? port)
    socket?.handOverAtOnce()
  }
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${server.port}`,
    port: server.port ?? port,
    prepareToStop,
    // Closing a listening socket resets the connections in its queue, with the requests they sent.
    // So first block new ones, then accept all queued ones. A blocked client retries after a second
    // (TCP's retransmission) and is refused.
    stop: async () => {
      prepareToStop()
      socket?.bar()
      await Bun.sleep(handshakeDelay)
      // One turn of the event loop, to accept the last ones.
      await Bun.sleep(0)
      // Not awaited: it also waits for connections with incomplete headers, maybe forever.
      void server.stop()
      await Bun.sleep(firstRequestDelay)
      while (server.pendingRequests > 0) await Bun.sleep(pollInterval)
      await server.stop(true)
    },
  }
}

export interface StartupSettings {
  readonly basePath: string
  readonly trustedProxies: readonly string[]
  readonly corsOrigins: readonly string[]
  readonly isEnding: () => boolean
}

/**
 * Returns the handler used during startup. `/health` responds at once, exactly like its route.
 * `/ready` waits for `loading`, other requests also for `preparing`. A request gets 503 if what it
 * waits for fails.
 */
export function createStartupHandler(
  settings: StartupSettings,
  loading: Promise<{ readonly handle: Handler }>,
  preparing: Promise<void>,
): Handler {
  const { respondToHealth, refuse } = createStartupResponders(settings)
  const prepared = preparing.then(() => loading)
  let routes: { readonly handle: Handler } | undefined
  prepared.then(
    (http) => {
      routes = http
    },
    () => {},
  )
  // If `preparing` fails, nothing else handles this one.
  loading.catch(() => {})
  return (request, peer) =>
    routes?.handle(request, peer) ??
    respondToHealth(request, peer) ??
    (isProbe(request, settings.basePath) ? loading : prepared).then(
      (http) => http.handle(request, peer),
      () => refuse(request, peer),
    )
}

/** Ignores the query. Without a Host header, Bun's `request.url` is only the path and query. */
function isProbe({ url }: Request, basePath: string): boolean {
  const path = pathOf(url.startsWith('/') ? `http://localhost${url}` : url)
  return path === `${basePath}/health` || path === `${basePath}/ready`
}

function createStartupResponders({ basePath, trustedProxies, corsOrigins, isEnding }: StartupSettings) {
  const withHeaders = createResponseHeaders(createCors(corsOrigins), isEnding)
  const isHttps = createIsHttps(trustedProxies)
  const contextOf = (request: Request, peer?: string) => ({
    requestId: requestIdOf(request),
    isSecure: isHttps(request, peer),
  })
  return {
    /** Returns the response of the route `/health`, and undefined for any other request. */
    respondToHealth(request: Request, peer?: string): Response | undefined {
      const isGetOrHead = request.method === 'GET' || request.method === 'HEAD'
      const path = `${basePath}/health`
      if (!isGetOrHead || pathOf(request.url) !== path || request.url.includes('?')) return undefined
      const response = new Response('{"status":"ok"}', {
        headers: { 'content-type': 'application/json;charset=utf-8' },
      })
      return withHeaders(response, request, contextOf(request, peer))
    },
    /** Returns the 503 for a request that was waiting when startup failed. */
    refuse(request: Request, peer?: string): Response {
      const context = contextOf(request, peer)
      const error = new AppError('unavailable', 'The server is stopping.')
      return withHeaders(problemResponse(error, { ...context, isOauth: false }), request, context)
    },
  }
}

function serve(handle: Handler, hostname: string, port: number, { unanswered, answered }: IdleTimeouts) {
  try {
    return Bun.serve({
      hostname,
      port,
      // Otherwise a second process could silently share the port.
      reusePort: false,
      // Bun's development pages expose paths and stack traces.
      development: false,
      maxRequestBodySize,
      idleTimeout: unanswered,
      fetch: (request, server) => {
        if (!largeResponse.test(request.url)) server.timeout(request, answered)
        return handle(request, server.requestIP(request)?.address)
      },
    })
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    const reason =
      code === 'EADDRINUSE'
        ? `Port ${port} on ${hostname} is already in use. Stop the other program, or set PORT to another port.`
        : `Cannot listen on ${hostname} port ${port} (${code ?? 'unknown error'}). Check HOST and PORT.`
    throw new AppError('refused', reason, { cause: error })
  }
}
