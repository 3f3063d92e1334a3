/** The CORS headers of a response (Fetch standard, "CORS protocol"). */
export interface Cors {
  /**
   * For every response, errors included: without these headers a page cannot read even the status.
   */
  mark(request: Request, headers: Headers): void
  /** For a preflight response. `methods` are those of the path. */
  markPreflight(request: Request, headers: Headers, methods: readonly string[]): void
}

const allowedHeaders = 'Authorization, Content-Type, X-Request-Id'
const exposedHeaders = 'X-Request-Id, Retry-After, WWW-Authenticate'
/** Seconds that browsers may cache a preflight. */
const preflightLifetime = '600'

/**
 * Origins match exactly. They may send credentials, because the device cookie needs that, which
 * grants no access; the cookie of a session is accepted from none of them. `onRefused` gets any
 * other origin, which may be that of the request.
 */
export function createCors(
  origins: readonly string[],
  onRefused: (request: Request, origin: string) => void = () => {},
): Cors {
  const isAllowed = (request: Request) => origins.includes(request.headers.get('origin') ?? '')
  return {
    mark: (request, headers) => {
      if (origins.length > 0) headers.append('vary', 'Origin')
      const origin = request.headers.get('origin')
      if (origin === null) return
      if (!origins.includes(origin)) return onRefused(request, origin)
      headers.set('access-control-allow-origin', origin)
      headers.set('access-control-allow-credentials', 'true')
      headers.set('access-control-expose-headers', exposedHeaders)
    },
    markPreflight: (request, headers, methods) => {
      if (!request.headers.has('access-control-request-method') || !isAllowed(request)) return
      headers.set('access-control-allow-methods', methods.join(', '))
      headers.set('access-control-allow-headers', allowedHeaders)
      headers.set('access-control-max-age', preflightLifetime)
    },
  }
}
