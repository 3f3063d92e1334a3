/** Returns the path of an absolute URL, without its query. */
export function pathOf(url: string): string {
  const start = url.indexOf('/', url.indexOf('://') + 3)
  const end = url.indexOf('?', start)
  return start < 0 ? '/' : url.slice(start, end < 0 ? undefined : end)
}

/** Bun's URL of a request without Host (HTTP/1.0) is only a path, which no router accepts. */
export function withAbsoluteUrl(request: Request): Request {
  return request.url.startsWith('/') ? new Request(`http://localhost${request.url}`, request) : request
}

/**
 * Returns whether the query is percent-encoded UTF-8 without NUL. Raw bytes that are not UTF-8
 * already arrive as U+FFFD, so that character is rejected too.
 */
export function hasDecodableQuery(url: string): boolean {
  const start = url.indexOf('?')
  if (start < 0 || url.indexOf('%', start) < 0) return true
  try {
    return !/[\0\ufffd]/.test(decodeURIComponent(url.slice(start)))
  } catch {
    return false
  }
}

/**
 * A name or an address, and a port. A slash here would shift the path, and every rule about paths.
 */
const validHost = /^[A-Za-z0-9._~:[\]-]*$/

export function hasValidHost(request: Request): boolean {
  return validHost.test(request.headers.get('host') ?? '')
}
