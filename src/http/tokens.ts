import { randomUUID } from 'node:crypto'
import { jwt } from '@elysiajs/jwt'
import type { Clock } from '../clock.ts'
import type { Session } from '../domain/sessions.ts'
import { type CompactJws, isSignedWithHs256, parseCompactJws } from './compactJws.ts'

/** The claims of an access token (RFC 9068 §2.2), with the session (`sid`) and the user's id (`uid`). */
export interface AccessClaims {
  readonly iss: string
  readonly aud: string
  readonly sub: string
  readonly uid: string
  readonly sid: string
  readonly jti: string
  readonly roles: readonly string[]
  /** Seconds since the epoch. */
  readonly iat: number
  readonly exp: number
}

export interface TokenSettings {
  readonly secretKey: string
  readonly issuer: string
  readonly audience: string
}

export interface Tokens {
  /** An access token for a session that has begun. */
  sign(session: Session): Promise<string>
  /** The claims of a valid access token; undefined for all else. Synchronous: it must not wait behind password hashes. */
  verify(token: string): AccessClaims | undefined
  /** The same by the library, for tests to hold `verify` against. */
  verifyByLibrary(token: string): Promise<AccessClaims | undefined>
  /** Whether the token is good for changing the password and nothing else. */
  isForPasswordChange(claims: AccessClaims): boolean
}

/** RFC 9068 §2.1. It keeps an ID token or another service's JWT from passing for an access token (RFC 8725 §3.11). */
const tokenType = 'at+jwt'
/** Seconds by which the clock of the replica that signed may run ahead of ours. */
const clockSkew = 5
/** Tokens whose signature need not be computed again: a browser sends the same one with each request. */
const rememberedTokens = 4096
const passwordChangeSuffix = '/password-change'
const requiredClaims = ['iss', 'aud', 'sub', 'uid', 'sid', 'jti', 'roles', 'iat', 'exp']
const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

export function createTokens({ secretKey, issuer, audience }: TokenSettings, clock: Clock): Tokens {
  const plugin = jwt({ name: 'accessTokens', secret: secretKey, alg: 'HS256', typ: tokenType }).decorator.accessTokens
  const key = Buffer.from(secretKey)
  const audiences = [audience, audience + passwordChangeSuffix]
  const now = () => Math.floor(clock() / 1000)
  const verified = new Map<string, AccessClaims>()

  const acceptable = (jws: CompactJws): AccessClaims | undefined =>
    hasOurHeader(jws) && hasOurClaims(jws, issuer, audiences, now())
      ? (jws.claims as unknown as AccessClaims)
      : undefined

  return {
    sign: ({ id, user, expiresAt }) =>
      plugin.sign({
        iss: issuer,
        // A quarantined user's token must open nothing elsewhere either: other services check `aud`, and roles.
        aud: user.must_change_password ? audience + passwordChangeSuffix : audience,
        sub: user.username,
        uid: user.id,
        sid: id,
        jti: randomUUID(),
        roles: user.must_change_password ? [] : [...user.roles],
        exp: expiresAt,
      }),
    verify: (token) => {
      const known = verified.get(token)
      if (known) return known.exp > now() ? known : undefined
      const jws = parseCompactJws(token)
      const claims = jws && isSignedWithHs256(jws, key) ? acceptable(jws) : undefined
      if (!claims) return undefined
      if (verified.size >= rememberedTokens) verified.clear()
      verified.set(copyOf(token), claims)
      return claims
    },
    verifyByLibrary: async (token) => {
      const jws = parseCompactJws(token)
      const options = {
        algorithms: ['HS256'],
        issuer,
        audience: audiences,
        typ: tokenType,
        requiredClaims,
        currentDate: new Date(clock()),
      }
      return jws && (await plugin.verify(token, options)) ? acceptable(jws) : undefined
    },
    isForPasswordChange: ({ aud }) => aud === audience + passwordChangeSuffix,
  }
}

/** Exactly what we write: no `crit`, no `b64`, no key that a token brings along, no other algorithm (RFC 8725 §3.1). */
function hasOurHeader({ header }: CompactJws): boolean {
  return header.alg === 'HS256' && header.typ === tokenType && Object.keys(header).length === 2
}

function hasOurClaims({ claims }: CompactJws, issuer: string, audiences: readonly string[], now: number): boolean {
  const { iss, aud, sub, uid, sid, jti, roles, iat, exp, nbf } = claims
  return (
    iss === issuer &&
    audiences.includes(aud as string) &&
    isText(sub) &&
    [uid, sid, jti].every((id) => typeof id === 'string' && uuid.test(id)) &&
    Array.isArray(roles) &&
    roles.every((role) => typeof role === 'string') &&
    isTime(iat) &&
    iat <= now + clockSkew &&
    isTime(exp) &&
    exp > now &&
    (nbf === undefined || (isTime(nbf) && nbf <= now))
  )
}

/** What the database can be asked for: PostgreSQL has no NUL, and UTF-8 no lone surrogate. */
function isText(value: unknown): value is string {
  return typeof value === 'string' && value.isWellFormed() && !value.includes('\0')
}

/** Cut out of a header or a form, a text keeps the whole of it in memory: 16 to 64 KB for a token of half of one. */
function copyOf(token: string): string {
  return Buffer.from(token, 'latin1').toString('latin1')
}

/** NumericDate (RFC 7519 §2), whole seconds alone. */
function isTime(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}
