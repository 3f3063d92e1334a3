import { createHash } from 'node:crypto'
import { findCookie } from '../browser/sessionCookie.ts'

/** Seconds. A page that sends people back takes far less. */
const memory = 10
const maxReturns = 3
const name = 'audittrail_returns'
const wellFormed = /^([1-9])\.([\w-]{22})$/

export interface Returns {
  readonly isLoop: boolean
  /** The Set-Cookie header that counts this return, or forgets the count. */
  readonly setCookie: string
}

/**
 * Counts how often a signed-in user is sent to the same target. A page that always sends people to
 * sign in, such as behind a proxy that drops the cookie, would send them around for ever. The
 * cookie holds a count and a digest: another value makes no difference but to the explanation.
 */
export function countReturn({ headers }: Request, target: string, isSecure: boolean): Returns {
  const digest = createHash('sha256').update(target).digest('base64url').slice(0, 22)
  const [, count = '0', counted = ''] = wellFormed.exec(findCookie(headers.get('cookie') ?? '', name) ?? '') ?? []
  const returns = counted === digest ? Number(count) : 0
  // Without a path, it is sent to the pages beside the sign-in page only.
  const attributes = `HttpOnly; SameSite=Lax${isSecure ? '; Secure' : ''}`
  if (returns >= maxReturns) return { isLoop: true, setCookie: `${name}=; Max-Age=0; ${attributes}` }
  return { isLoop: false, setCookie: `${name}=${returns + 1}.${digest}; Max-Age=${memory}; ${attributes}` }
}
