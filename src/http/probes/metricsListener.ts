import type { ListenAddress } from '../../config/listenAddress.ts'
import { AppError } from '../../error.ts'
import { type MetricsRegistry, metricsContentType } from '../../telemetry/registry.ts'

export interface MetricsListener {
  /** As Prometheus asks for it. */
  readonly url: string
  stop(): Promise<void>
}

/**
 * Serves `GET /metrics` and nothing else, at an address of its own: it asks nobody for a password, and the public port knows
 * nothing of it. Throws `refused` when the port is taken or the address is not ours.
 */
export function listenForScrapes({ host, port }: ListenAddress, metrics: MetricsRegistry): MetricsListener {
  const server = serve(host, port, (request) => answer(request, metrics))
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${server.port}/metrics`,
    stop: () => server.stop(true),
  }
}

async function answer(request: Request, metrics: MetricsRegistry): Promise<Response> {
  const { pathname } = new URL(request.url, 'http://localhost')
  if (pathname !== '/metrics') return plain('Not found. This server only serves /metrics.\n', 404)
  if (request.method !== 'GET' && request.method !== 'HEAD')
    return plain('/metrics only supports GET and HEAD.\n', 405, { allow: 'GET, HEAD' })
  return plain(await metrics.render(), 200, { 'content-type': metricsContentType })
}

function plain(text: string, status: number, headers: Record<string, string> = {}): Response {
  const always = { 'content-type': 'text/plain; charset=utf-8', 'x-content-type-options': 'nosniff' }
  return new Response(text, { status, headers: { ...always, 'cache-control': 'no-store', ...headers } })
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
