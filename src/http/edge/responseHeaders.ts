import type { Cors } from './cors.ts'
import type { RequestContext } from './requestContext.ts'

// Import nothing heavy: `http/edge/listener` uses this before Elysia is loaded.

type HeaderContext = Pick<RequestContext, 'requestId' | 'isSecure'>

/** Adds the headers of every response. */
export type ResponseHeaders = (response: Response, request: Request, context: HeaderContext) => Response

/** A response rendered as a page may load nothing and be framed nowhere. */
const contentSecurityPolicy = "default-src 'none'; frame-ancestors 'none'"
/** One year, without subdomains: they may belong to others. */
const strictTransportSecurity = 'max-age=31536000'

/**
 * During shutdown, each response closes its connection (RFC 9112 §9.6). Header values are
 * constants, configured origins or valid request ids: Bun returns a bare 500 for a line break or
 * non-Latin-1.
 */
export function createResponseHeaders(cors: Cors, isEnding: () => boolean): ResponseHeaders {
  return (response, request, { requestId, isSecure }) => {
    const { headers } = response
    headers.set('x-request-id', requestId)
    headers.set('x-content-type-options', 'nosniff')
    // Pages set their own policies.
    if (!headers.has('referrer-policy')) headers.set('referrer-policy', 'no-referrer')
    headers.set('x-frame-options', 'DENY')
    headers.set('cross-origin-resource-policy', 'same-origin')
    if (!headers.has('content-security-policy')) headers.set('content-security-policy', contentSecurityPolicy)
    if (isSecure) headers.set('strict-transport-security', strictTransportSecurity)
    // A route declares itself cacheable. Caches may store a 404 or 405 by default (RFC 9110 §15.1).
    if (response.status >= 400 || !headers.has('cache-control')) headers.set('cache-control', 'no-store')
    // Bun omits Date for HEAD only.
    if (request.method === 'HEAD') headers.set('date', new Date().toUTCString())
    // The client or its proxy then sends the next request to another replica.
    if (isEnding()) headers.set('connection', 'close')
    cors.mark(request, headers)
    return response
  }
}
