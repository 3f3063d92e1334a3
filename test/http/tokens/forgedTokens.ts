import { createHmac, randomUUID } from 'node:crypto'

export const secretKey = '0123456789abcdef0123456789abcdef'
export const goodHeader = { alg: 'HS256', typ: 'at+jwt' }
export const user = {
  id: randomUUID(),
  username: 'ada',
  full_name: 'Ada Lovelace',
  is_active: true,
  roles: ['admin', 'billing'],
  must_change_password: false,
}

/** A session whose access token lasts half an hour. */
export function newSession() {
  return { id: randomUUID(), user, expiresIn: 1800, refreshGeneration: null }
}

/** Claims that are valid at the given epoch second. */
export function claimsAt(seconds: number) {
  return {
    iss: 'audittrail',
    aud: 'audittrail',
    sub: 'ada',
    uid: user.id,
    sid: randomUUID(),
    jti: randomUUID(),
    roles: [],
    iat: seconds,
    exp: seconds + 60,
  }
}

/** Returns a correctly signed token over any header and claims. */
export function forge(header: object, claims: object, hash = 'sha256', key: string | Buffer = secretKey): string {
  return forgeText(JSON.stringify(header), JSON.stringify(claims), hash, key)
}

/** Like `forge`, over texts or bytes. */
export function forgeText(
  header: string | Uint8Array,
  claims: string | Uint8Array,
  hash = 'sha256',
  key: string | Buffer = secretKey,
): string {
  const encode = (value: string | Uint8Array) => Buffer.from(value as string).toString('base64url')
  const input = `${encode(header)}.${encode(claims)}`
  return `${input}.${createHmac(hash, key).update(input).digest('base64url')}`
}
