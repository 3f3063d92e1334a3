/** The headers that show where a request comes from. Null or empty: not sent. */
export interface RequestFacts {
  /** Every method but GET and HEAD is unsafe, and so is null. */
  readonly method: string | null
  /** Whether it requests a protocol upgrade, as WebSockets do. */
  readonly isUpgrade: boolean
  /** `Sec-Fetch-Site`, `Sec-Fetch-Mode` and `Sec-Fetch-Dest`. */
  readonly site: string | null
  readonly mode: string | null
  readonly dest: string | null
  readonly origin: string | null
}

/**
 * Returns whether a request comes from a page of its own origin or from the user, so that its
 * cookie shows the user's will. Links from other sites pass too with `acceptsLinks`, but not
 * frames. Siblings are other sites: `SameSite=Lax` does not keep them out.
 */
export function isSameOrigin(
  { method, isUpgrade, site, mode, dest, origin }: RequestFacts,
  ownOrigins: () => readonly string[],
  acceptsLinks: boolean,
): boolean {
  const isSafe = (method === 'GET' || method === 'HEAD') && !isUpgrade
  if (site === 'same-origin' || site === 'none') return true
  // A frame navigates too: another site must not lay its own page over ours.
  if (site) return acceptsLinks && isSafe && mode === 'navigate' && (!dest || dest === 'document')
  // WebSocket handshakes, and http pages except on localhost, send no Sec-Fetch-Site.
  if (!origin) return isSafe
  return ownOrigins().includes(origin)
}

export function factsOf({ method, headers }: Request): RequestFacts {
  return { ...originFactsOf(headers), method, isUpgrade: Boolean(headers.get('upgrade')) }
}

/** Returns the facts of the original request, which a proxy passes on. */
export function forwardedFactsOf({ headers }: Request): RequestFacts {
  const isUpgrade = Boolean(headers.get('x-original-upgrade'))
  return { ...originFactsOf(headers), method: headers.get('x-original-method'), isUpgrade }
}

function originFactsOf(headers: Headers) {
  return {
    site: headers.get('sec-fetch-site'),
    mode: headers.get('sec-fetch-mode'),
    dest: headers.get('sec-fetch-dest'),
    origin: headers.get('origin'),
  }
}

/** Returns the origin that a request was sent to, as browsers write it. */
export function requestedOrigin({ headers, url }: Request, isSecure: boolean): string {
  const host = (headers.get('host') ?? URL.parse(url)?.host ?? '').toLowerCase()
  return isSecure ? `https://${host.replace(/:443$/, '')}` : `http://${host.replace(/:80$/, '')}`
}
