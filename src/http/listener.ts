import { AppError } from '../error.ts'
import { createAnswerHeaders } from './answerHeaders.ts'
import { createIsHttps } from './clientAddress.ts'
import { createCors } from './cors.ts'
import { requestIdOf } from './exchange.ts'
import { pathOf } from './requestTarget.ts'

// Nothing heavy is imported here: this is what the process has of HTTP before the framework is loaded.

/** Answers a request; `peer` is the address at the other end of the socket. */
export type Handler = (request: Request, peer?: string) => Response | Promise<Response>

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

/** Listens, or throws `refused` when the port is taken or the address is not ours. */
export function listen({ host, port }: { readonly host: string; readonly port: number }, handle: Handler): Listener {
  const server = serve(handle, host, port)
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${server.port}`,
    port: server.port ?? port,
    stop: () => server.stop(),
  }
}

export interface EarlySettings {
  readonly basePath: string
  readonly trustedProxies: readonly string[]
  readonly corsOrigins: readonly string[]
}

/**
 * What answers until `loading` is done, and then hands on. `/health` says from the first moment that the process is alive, as
 * its route will; everything else waits for the routes.
 */
export function handleOnceLoaded(settings: EarlySettings, loading: Promise<{ readonly handle: Handler }>): Handler {
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
function createAlive({ basePath, trustedProxies, corsOrigins }: EarlySettings) {
  const withHeaders = createAnswerHeaders(basePath, createCors(corsOrigins))
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
        ? `Port ${port} on ${hostname} is taken by another program: stop that one, or set PORT to another.`
        : `Cannot listen on ${hostname} port ${port} (${code ?? 'unknown error'}): check HOST and PORT.`
    throw new AppError('refused', reason, { cause: error })
  }
}
