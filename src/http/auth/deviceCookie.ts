import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { networkOf } from '../../domain/network.ts'
import type { ThrottleSubject } from '../../domain/signIn/throttle.ts'
import { createKeyDeriver, type SecretKeys } from '../../secretKeys.ts'
import { trimBlanks } from '../../userFields.ts'
import type { RequestContexts } from '../edge/requestContext.ts'

/** Identifies sign-in attempts for the throttle, and recognizes known devices. */
export interface DeviceCookies {
  subjectOf(request: Request, username: string): DeviceSubject
  /**
   * Returns the Set-Cookie header after a login at a route: it makes the device known to the
   * account.
   */
  setCookie(request: Request, subject: DeviceSubject, route: string): string
}

/** The source of a sign-in, and the account that the device of the request gets to know. */
export interface DeviceSubject extends ThrottleSubject {
  readonly owner: string
}

export interface DeviceCookieSettings {
  readonly secretKeys: () => SecretKeys
  readonly basePath: string
}

const cookieName = 'audittrail_device'
/** Seconds. The maximum that browsers accept (RFC 6265bis §5.5). */
const cookieMaxAge = 400 * 86_400
const idBytes = 16
const macBytes = 16
/** Accounts per device, enough for a family. */
const maxAccounts = 8

/**
 * The device cookie (OWASP Authentication Cheat Sheet) has a device id and a MAC of it for each
 * account. It grants no access: it only exempts a known device from lockouts caused by others. The
 * database stores usernames as MACs, because users sometimes type a password there.
 */
export function createDeviceCookies(
  { secretKeys, basePath }: DeviceCookieSettings,
  requestContexts: RequestContexts,
): DeviceCookies {
  // The first key is derived from SECRET_KEY; the others, from previous ones, only verify.
  const accountKeys = createKeyDeriver(secretKeys, 'audittrail account of an attempt')
  const deviceKeys = createKeyDeriver(secretKeys, 'audittrail device cookie')
  const digestOf = (username: string, key: Buffer = accountKeys()[0]) =>
    createHmac('sha256', key).update(lowerCase(username)).digest('base64url')
  const macOf = (device: string, owner: string, key: Buffer = deviceKeys()[0]) =>
    createHmac('sha256', key).update(`${device} ${owner}`).digest().subarray(0, macBytes)
  const isKnown = ({ device, macs }: DeviceCookie, username: string) =>
    accountKeys().some((key, index) => {
      const expected = macOf(device, digestOf(username, key), deviceKeys()[index])
      return macs.some((mac) => isEqual(mac, expected))
    })

  return {
    subjectOf: (request, username) => {
      const { address, isShared } = requestContexts.of(request)
      const cookie = readCookie(request)
      return {
        // Names that differ only by the blanks around them share their failures, but no devices.
        account: digestOf(trimBlanks(username)),
        owner: digestOf(username),
        network: address === undefined || isShared ? undefined : networkOf(address),
        device: cookie && isKnown(cookie, username) ? cookie.device : undefined,
      }
    },
    setCookie: (request, { owner }, route) => {
      const known = readCookie(request)
      const device = known?.device ?? randomBytes(idBytes).toString('base64url')
      const ownMac = macOf(device, owner).toString('base64url')
      const macs = [ownMac, ...(known?.macs ?? []).filter((mac) => mac !== ownMac)].slice(0, maxAccounts)
      // If a proxy strips the base path, only the browser knows the path; its default fits.
      const path = basePath === '' ? '' : `; Path=${basePath}${route}`
      const secure = requestContexts.of(request).isSecure ? '; Secure' : ''
      return `${cookieName}=${[device, ...macs].join('.')}; Max-Age=${cookieMaxAge}${path}; HttpOnly; SameSite=Strict${secure}`
    },
  }
}

/** Only ASCII letters, as in the index by which PostgreSQL finds usernames. */
function lowerCase(username: string): string {
  return username.replace(/[A-Z]/g, (letter) => letter.toLowerCase())
}

interface DeviceCookie {
  readonly device: string
  readonly macs: readonly string[]
}

const wellFormed = new RegExp(`^[\\w-]{22}(\\.[\\w-]{22}){1,${maxAccounts}}$`)

function readCookie(request: Request): DeviceCookie | undefined {
  const header = request.headers.get('cookie')
  if (header === null) return undefined
  const value = header
    .split(';')
    .map(trimBlanks)
    .find((pair) => pair.startsWith(`${cookieName}=`))
    ?.slice(cookieName.length + 1)
  if (value === undefined || !wellFormed.test(value)) return undefined
  const [device = '', ...macs] = value.split('.')
  return { device, macs }
}

function isEqual(encoded: string, mac: Buffer): boolean {
  const bytes = Buffer.from(encoded, 'base64url')
  return bytes.length === mac.length && timingSafeEqual(bytes, mac)
}
