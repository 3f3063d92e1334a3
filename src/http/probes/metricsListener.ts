import type { ListenAddress } from '../../config/listenAddress.ts'
import { AppError } from '../../error.ts'
import { type MetricsRegistry, metricsContentType } from '../../telemetry/registry.ts'

export interface MetricsListener {
  readonly url: string
  stop(): Promise<void>
}

/**
 * Serves only `GET /metrics`, without authentication and therefore on a separate address. Throws
 * `refused` if the port is in use or the address is not on this machine.
 */
export function listenForScrapes({ host, port }: ListenAddress, metrics: MetricsRegistry): MetricsListener {
  const server = serve(host, port, (request) => respond(request, metrics))
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${server.port}/metrics`,
    stop: () => server.stop(true),
  }
}

async function respond(request: Request, metrics: MetricsRegistry): Promise<Response> {
  const { pathname } = new URL(request.url, 'http://localhost')
  if (pathname !== '/metrics') return plain('Not found. This server only serves /metrics.\n', 404)
  if (request.method !== 'GET' && request.method !== 'HEAD')
    return plain('/metrics only supports GET and HEAD.\n', 405, { allow: 'GET, HEAD' })
  return plain(await metrics.render(), 200, { 'content-type': metricsContentType })
}

function plain(text: string, status: number, headers: Record<string, string> = {}): Response {
  const commonHeaders = { 'content-type': 'text/plain; charset=utf-8', 'x-content-type-options': 'nosniff' }
  return new Response(text, { status, headers: { ...commonHeaders, 'cache-control': 'no-store', ...headers } })
}

function serve(hostname: string, port: number, fetch: (request: Request) => Promise<Response>) {
  try {
    return Bun.serve({ hostname, port, reusePort: false, development: false, maxRequestBodySize: 1024, fetch })
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    const reason =
      code === 'EADDRINUSE'
        ? `Port ${port} on ${hostname} is already in use. Stop the other program, or set METRICS to another address.`
        : `Cannot listen on ${hostname} port ${port} (${code ?? 'unknown error'}). Check METRICS.`
    throw new AppError('refused', reason, { cause: error })
  }
}
