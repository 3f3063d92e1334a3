import type { Cors } from './cors.ts'
import type { RequestContext } from './requestContext.ts'

// Nothing heavy is imported here: `http/edge/listener` answers with these before the framework is loaded.

type AnsweredExchange = Pick<RequestContext, 'requestId' | 'isSecure'>

/** Puts the headers that every answer has onto one. `path` is that of the request, as the routes see it. */
export type ResponseHeaders = (
  response: Response,
  request: Request,
  path: string,
  requestContext: AnsweredExchange,
) => Response

/** What a page may do that a browser makes of an answer: nothing, nor may it stand in another page. */
const contentSecurityPolicy = "default-src 'none'; frame-ancestors 'none'"
/** A year. Subdomains are not ours to speak for. */
const strictTransportSecurity = 'max-age=31536000'

/**
 * While `isEnding` says that the process is about to end, each answer is the last one of its connection (RFC 9112 §9.6).
 * Every value is a constant, an origin of the list, or a request id of its own narrow alphabet: what is not Latin-1 or holds a
 * line break would end in a bare 500 of Bun's.
 */
export function createResponseHeaders(basePath: string, cors: Cors, isEnding: () => boolean): ResponseHeaders {
  const personal = [`${basePath}/auth/`, `${basePath}/users`, `${basePath}/blocks`, `${basePath}/api-keys`]

  return (response, request, path, { requestId, isSecure }) => {
    const { headers } = response
    headers.set('x-request-id', requestId)
    headers.set('x-content-type-options', 'nosniff')
    headers.set('referrer-policy', 'no-referrer')
    headers.set('x-frame-options', 'DENY')
    headers.set('cross-origin-resource-policy', 'same-origin')
    // The docs page has its own.
    if (!headers.has('content-security-policy')) headers.set('content-security-policy', contentSecurityPolicy)
    if (isSecure) headers.set('strict-transport-security', strictTransportSecurity)
    // A refusal is about this moment, and a cache might keep a 404 or 405 (RFC 9110 §15.1).
    if (response.status >= 400 || personal.some((prefix) => path.startsWith(prefix)))
      headers.set('cache-control', 'no-store')
    // Bun dates every answer but this one.
    if (request.method === 'HEAD') headers.set('date', new Date().toUTCString())
    // The client, or the proxy before it, brings its next request to another replica.
    if (isEnding()) headers.set('connection', 'close')
    cors.mark(request, headers)
    return response
  }
}
