/** The CORS headers of an answer (Fetch standard, "CORS protocol"). */
export interface Cors {
  /** For every answer, refusals too: without them a browser keeps even the status from the page. */
  mark(request: Request, headers: Headers): void
  /** For the answer to a preflight of a path that is served by these methods. */
  markPreflight(request: Request, headers: Headers, methods: readonly string[]): void
}

const requestHeaders = 'Authorization, Content-Type, X-Request-Id'
const answerHeaders = 'X-Request-Id, Retry-After, WWW-Authenticate'
/** Seconds for which a browser need not ask again. */
const preflightLifetime = '600'

/**
 * `origins` is an exact list: an origin is on it, letter by letter, or gets no header at all. Credentials are allowed to it,
 * since the cookie of a known device travels by no other way, and opens nothing.
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
      headers.set('access-control-expose-headers', answerHeaders)
    },
    markPreflight: (request, headers, methods) => {
      if (!request.headers.has('access-control-request-method') || !isAllowed(request)) return
      headers.set('access-control-allow-methods', methods.join(', '))
      headers.set('access-control-allow-headers', requestHeaders)
      headers.set('access-control-max-age', preflightLifetime)
    },
  }
}
