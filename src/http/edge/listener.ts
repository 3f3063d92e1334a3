import { AppError } from '../../error.ts'
import { findListeningSocket, type ListeningSocket } from '../../system/listeningSocket.ts'
import { createIsHttps } from './clientAddress.ts'
import { createCors } from './cors.ts'
import { requestIdOf } from './requestContext.ts'
import { pathOf } from './requestTarget.ts'
import { createResponseHeaders } from './responseHeaders.ts'

// Nothing heavy is imported here: this is what the process has of HTTP before the framework is loaded.

/** Answers a request; `peer` is the address at the other end of the socket. */
export type Handler = (request: Request, peer?: string) => Response | Promise<Response>

export interface Listener {
  /** As a person would open it. */
  readonly url: string
  readonly port: number
  /** Makes ready for `stop`, which then loses less; a second before is early enough. */
  prepareToStop(): void
  /**
   * Takes no new connection and closes those that are idle; resolves when what is under way is answered, and then nothing is open.
   * What has only begun to send a request is not waited for.
   */
  stop(): Promise<void>
}

/** Longest body that Bun takes in at all; ours are counted while they are read, and end far below it. */
const maxRequestBodySize = 1_048_576
/** Milliseconds that a client may be on its way from its SYN to its ACK, and from there to its request. */
const handshake = 2
const firstWord = 50
/** Milliseconds between two looks for what is still under way at the end. */
const lookAgain = 10
/** Seconds without a byte after which a connection is closed. */
const idleTimeout = 30

/** Listens, or throws `refused` when the port is taken or the address is not ours. */
export function listen({ host, port }: { readonly host: string; readonly port: number }, handle: Handler): Listener {
  const server = serve(handle, host, port)
  let socket: ListeningSocket | undefined
  const prepareToStop = () => {
    socket ??= findListeningSocket(server.port ?? port)
    socket?.handOverAtOnce()
  }
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${server.port}`,
    port: server.port ?? port,
    prepareToStop,
    // Whoever closes a listening socket resets the connections that lie in its queue, and with them the requests that came along. So
    // nobody may queue up any more, and all who did are taken, before it is closed. Who asks for a connection in these
    // milliseconds asks again after a second, by TCP's own rules, and is refused.
    stop: async () => {
      prepareToStop()
      socket?.bar()
      await Bun.sleep(handshake)
      // A turn of the event loop in which the last of them are taken.
      await Bun.sleep(0)
      // Bun's own promise waits for connections too, on which half a head may lie for ever.
      void server.stop()
      await Bun.sleep(firstWord)
      while (server.pendingRequests > 0) await Bun.sleep(lookAgain)
      await server.stop(true)
    },
  }
}

export interface EarlySettings {
  readonly basePath: string
  readonly trustedProxies: readonly string[]
  readonly corsOrigins: readonly string[]
  readonly isEnding: () => boolean
}

/**
 * What answers until `loading` is done, and then hands on. `/health` says from the first moment that the process is alive, as
 * its route will; everything else waits for the routes.
 */
export function createStartupHandler(settings: EarlySettings, loading: Promise<{ readonly handle: Handler }>): Handler {
  const alive = createAlive(settings)
  let loaded: { readonly handle: Handler } | undefined
  loading.then(
    (http) => {
      loaded = http
    },
    () => {},
  )
  return (request, peer) =>
    loaded?.handle(request, peer) ?? alive(request, peer) ?? loading.then((http) => http.handle(request, peer))
}

/** Answers as the route `/health` will, and nothing else. */
function createAlive({ basePath, trustedProxies, corsOrigins, isEnding }: EarlySettings) {
  const withHeaders = createResponseHeaders(basePath, createCors(corsOrigins), isEnding)
  const isHttps = createIsHttps(trustedProxies)
  return (request: Request, peer?: string): Response | undefined => {
    const isRead = request.method === 'GET' || request.method === 'HEAD'
    const path = `${basePath}/health`
    if (!isRead || pathOf(request.url) !== path || request.url.includes('?')) return undefined
    const response = new Response('{"status":"ok"}', { headers: { 'content-type': 'application/json;charset=utf-8' } })
    return withHeaders(response, request, path, { requestId: requestIdOf(request), isSecure: isHttps(request, peer) })
  }
}

function serve(handle: Handler, hostname: string, port: number) {
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
      fetch: (request, server) => handle(request, server.requestIP(request)?.address),
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
