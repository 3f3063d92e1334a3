/** Path of an absolute URL, without its query. */
export function pathOf(url: string): string {
  const start = url.indexOf('/', url.indexOf('://') + 3)
  const end = url.indexOf('?', start)
  return start < 0 ? '/' : url.slice(start, end < 0 ? undefined : end)
}

/**
 * Whether the query is text, percent-encoded as UTF-8: no stray %, no byte that is not UTF-8, no half of a surrogate pair, no
 * NUL. Raw bytes that are not UTF-8 have become U+FFFD before anyone sees them, so that it counts as one of those.
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

/** A name or address and a port. A slash in it would move the path along, and every rule about paths with it. */
const plainHost = /^[A-Za-z0-9._~:[\]-]*$/

export function hasPlainHost(request: Request): boolean {
  return plainHost.test(request.headers.get('host') ?? '')
}
