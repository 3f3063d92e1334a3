import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { networkOf } from '../../domain/signIn/network.ts'
import type { ThrottleSubject } from '../../domain/signIn/throttle.ts'
import { deriveKeys, type SecretKeys } from '../../secretKeys.ts'
import type { RequestContexts } from '../edge/requestContext.ts'

/** Tells those who try to sign in from one another, and knows a device again. */
export interface DeviceCookies {
  subjectOf(request: Request, username: string): ThrottleSubject
  /** The Set-Cookie of a right login: from here on this device is known to the account. */
  setCookie(request: Request, attempt: ThrottleSubject): string
}

export interface DeviceCookieSettings {
  readonly secretKeys: SecretKeys
  readonly basePath: string
}

const cookieName = 'audittrail_device'
/** Seconds: the longest that browsers keep a cookie (RFC 6265bis §5.5). */
const cookieAge = 400 * 86_400
const idBytes = 16
const macBytes = 16
/** Accounts that one device is known to: what a family shares. */
const mostAccounts = 8

/**
 * The device cookie (OWASP Authentication Cheat Sheet): an id of the device, and a MAC over it for each account that has signed in on
 * it. It authorises nothing; whoever shows it is only not kept waiting for what strangers have done. Names stand in the database
 * as MACs, since what was typed may be a password. Both keys are derived from SECRET_KEY; cookies of a former one are known too.
 */
export function createDeviceCookies(
  { secretKeys, basePath }: DeviceCookieSettings,
  requestContexts: RequestContexts,
): DeviceCookies {
  const accountKeys = deriveKeys(secretKeys, 'audittrail account of an attempt')
  const deviceKeys = deriveKeys(secretKeys, 'audittrail device cookie')
  const accountOf = (username: string, key: Buffer = accountKeys[0]) =>
    createHmac('sha256', key).update(lowered(username)).digest('base64url')
  const macOf = (device: string, account: string, key: Buffer = deviceKeys[0]) =>
    createHmac('sha256', key).update(`${device} ${account}`).digest().subarray(0, macBytes)
  const isKnown = ({ device, macs }: DeviceCookie, username: string) =>
    accountKeys.some((key, at) => {
      const expected = macOf(device, accountOf(username, key), deviceKeys[at])
      return macs.some((mac) => isEqual(mac, expected))
    })

  return {
    subjectOf: (request, username) => {
      const { address, isShared } = requestContexts.of(request)
      const cookie = readCookie(request)
      return {
        account: accountOf(username),
        network: address === undefined || isShared ? undefined : networkOf(address),
        device: cookie && isKnown(cookie, username) ? cookie.device : undefined,
      }
    },
    setCookie: (request, { account }) => {
      const known = readCookie(request)
      const device = known?.device ?? randomBytes(idBytes).toString('base64url')
      const own = macOf(device, account).toString('base64url')
      const macs = [own, ...(known?.macs ?? []).filter((mac) => mac !== own)].slice(0, mostAccounts)
      // Where a proxy strips a prefix the browser's path is not ours; without a Path it takes the directory of the login itself.
      const path = basePath === '' ? '' : `; Path=${basePath}/auth/login`
      const secure = requestContexts.of(request).isSecure ? '; Secure' : ''
      return `${cookieName}=${[device, ...macs].join('.')}; Max-Age=${cookieAge}${path}; HttpOnly; SameSite=Strict${secure}`
    },
  }
}

/** As PostgreSQL looks names up: without case, by ASCII's rules. */
function lowered(username: string): string {
  return username.replace(/[A-Z]/g, (letter) => letter.toLowerCase())
}

interface DeviceCookie {
  readonly device: string
  readonly macs: readonly string[]
}

const wellFormed = new RegExp(`^[\\w-]{22}(\\.[\\w-]{22}){1,${mostAccounts}}$`)

function readCookie(request: Request): DeviceCookie | undefined {
  const header = request.headers.get('cookie')
  if (header === null) return undefined
  const value = header
    .split(';')
    .map((pair) => pair.trim())
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
