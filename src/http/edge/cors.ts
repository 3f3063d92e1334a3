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
 * Origins match exactly. They may send credentials, because the device cookie needs that; the
 * cookie grants no access.
 */
export function createCors(origins: readonly string[]): Cors {
  if (origins.length === 0) return { mark: () => {}, markPreflight: () => {} }
  const isAllowed = (request: Request) => origins.includes(request.headers.get('origin') ?? '')
  return {
    mark: (request, headers) => {
      headers.append('vary', 'Origin')
      if (!isAllowed(request)) return
      headers.set('access-control-allow-origin', request.headers.get('origin') ?? '')
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
