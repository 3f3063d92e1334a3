import type { BrowserCredential, RenewedCredential } from '../../domain/sessions/browserSessions.ts'
import type { SecretKeys } from '../../secretKeys.ts'
import { trimBlanks } from '../../userFields.ts'
import { createSessionTokens } from '../tokens/sessionTokens.ts'

/** The cookie of a browser session. It contains no more than its id, a generation and a MAC. */
export interface SessionCookies {
  /** Returns what the cookie contains, if the request has exactly one and we made it. */
  read(request: Request, isSecure: boolean): BrowserCredential | undefined
  /** Returns the Set-Cookie header. */
  set(credential: RenewedCredential, isSecure: boolean): string
  /** Returns the Set-Cookie header that deletes the cookie. */
  expire(isSecure: boolean): string
}

/** Cached results, because a browser sends the same cookie with each request. */
const maxCached = 4096

/**
 * Browsers accept the prefix `__Host-` only over https, from this host and for all of its paths.
 */
export function cookieName(isSecure: boolean): string {
  return isSecure ? '__Host-audittrail' : 'audittrail'
}

export function createSessionCookies(secretKeys: () => SecretKeys): SessionCookies {
  const tokens = createSessionTokens(secretKeys, { prefix: 'ats_', label: 'audittrail session cookie' })
  let cachedFor: SecretKeys | undefined
  const cache = new Map<string, BrowserCredential>()

  const credentialOf = (value: string): BrowserCredential | undefined => {
    const current = secretKeys()
    if (cachedFor !== current || cache.size >= maxCached) cache.clear()
    cachedFor = current
    const cached = cache.get(value)
    if (cached) return cached
    const credential = tokens.read(value)
    // A substring would keep the whole header in memory.
    if (credential) cache.set(Buffer.from(value, 'latin1').toString('latin1'), credential)
    return credential
  }
  const attributes = (isSecure: boolean) => `; Path=/; HttpOnly; SameSite=Lax${isSecure ? '; Secure' : ''}`

  return {
    read: ({ headers }, isSecure) => {
      const header = headers.get('cookie')
      const value = header === null ? undefined : findCookie(header, cookieName(isSecure))
      return value === undefined ? undefined : credentialOf(value)
    },
    set: (credential, isSecure) => {
      const { maxAge } = credential
      const lifetime = maxAge === undefined ? '' : `; Max-Age=${maxAge}`
      return `${cookieName(isSecure)}=${tokens.make(credential)}${lifetime}${attributes(isSecure)}`
    },
    expire: (isSecure) => `${cookieName(isSecure)}=; Max-Age=0${attributes(isSecure)}`,
  }
}

/**
 * Returns the value of the only cookie of a name. Of two, a sibling may have set one. Other blanks
 * than ASCII's belong to the name: with them, browsers do not see the prefix `__Host-`.
 */
export function findCookie(header: string, name: string): string | undefined {
  const start = `${name}=`
  // The usual header of a proxy, without the cost of splitting it.
  if (!header.includes(';')) return header.startsWith(start) ? header.slice(start.length) : undefined
  if (!header.includes(start) || occursTwice(header, name)) return undefined
  const pairs = header.split(';').filter((pair) => pair.includes(start))
  const pair = pairs.map(trimBlanks).find((text) => text.startsWith(start))
  return pair?.slice(start.length)
}

/** Counts as the printed Nginx configuration does. Otherwise redirects between both may not end. */
function occursTwice(header: string, name: string): boolean {
  if (header.indexOf(name) === header.lastIndexOf(name)) return false
  const named = new RegExp(`(?:^|[;,"\\t-\\r ])${name}[\\t-\\r ]*=`, 'g')
  return (header.match(named)?.length ?? 0) > 1
}
