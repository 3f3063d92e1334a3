import { randomUUID } from 'node:crypto'
import { jwt } from '@elysiajs/jwt'
import type { Clock } from '../../clock.ts'
import type { KeyRing, Signer, Verifier } from '../../domain/keys/keyRing.ts'
import type { Session } from '../../domain/sessions/sessions.ts'
import { type CompactJws, parseCompactJws } from './compactJws.ts'
import { isSignedBy } from './signature.ts'

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

export interface AccessTokenSettings {
  readonly keyRing: Pick<KeyRing, 'version' | 'findVerifier' | 'requireSigner' | 'refreshIfStale'>
  readonly issuer: string
  readonly audience: string
}

export interface AccessTokens {
  /** An access token for a session that has begun. Throws `unavailable` while the keys cannot be read. */
  sign(session: Pick<Session, 'id' | 'user' | 'expiresAt'>): Promise<string>
  /** The claims of a valid access token; undefined for all else. Synchronous: it must not wait behind password hashes. */
  verify(token: string): AccessClaims | undefined
  /** Once more for a token that `verify` has refused for want of its key alone: another replica may have a new one. */
  verifyByNewKey(token: string): Promise<AccessClaims | undefined>
  /** What `verify` does, by the library, for tests to hold it against. */
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
/** A SHA-256 thumbprint (RFC 7638) in base64url. */
const thumbprint = /^[A-Za-z0-9_-]{43}$/

/** Epoch milliseconds until which they are good, by the token and by its key. */
interface Remembered {
  readonly claims: AccessClaims
  readonly until: number
}

export function createAccessTokens({ keyRing, issuer, audience }: AccessTokenSettings, clock: Clock): AccessTokens {
  const audiences = [audience, audience + passwordChangeSuffix]
  const now = () => Math.floor(clock() / 1000)
  const signWith = createSigning()
  const verified = new Map<string, Remembered>()
  let version = keyRing.version()

  const acceptable = (jws: CompactJws): AccessClaims | undefined =>
    hasOurClaims(jws, issuer, audiences, now()) ? (jws.claims as unknown as AccessClaims) : undefined

  /** The key that the token names, unless its header is another than we write with that key. */
  const verifierOf = ({ header }: CompactJws): Verifier | undefined => {
    const verifier = isOurHeader(header) ? keyRing.findVerifier(header.kid) : undefined
    return verifier?.algorithm === header.alg ? verifier : undefined
  }

  const remember = (token: string, claims: AccessClaims, { verifiesUntil }: Verifier) => {
    if (verified.size >= rememberedTokens) verified.clear()
    verified.set(copyOf(token), { claims, until: Math.min(claims.exp * 1000, verifiesUntil) })
  }

  const verify = (token: string): AccessClaims | undefined => {
    if (version !== keyRing.version()) {
      verified.clear()
      version = keyRing.version()
    }
    const known = verified.get(token)
    if (known) return known.until > clock() ? known.claims : undefined
    const jws = parseCompactJws(token)
    const verifier = jws && verifierOf(jws)
    const claims = verifier && isSignedBy(jws, verifier) ? acceptable(jws) : undefined
    if (claims) remember(token, claims, verifier as Verifier)
    return claims
  }

  return {
    verify,
    sign: async ({ id, user, expiresAt }) =>
      signWith(await keyRing.requireSigner(), {
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
    verifyByNewKey: async (token) => {
      const jws = parseCompactJws(token)
      const isOfUnknownKey = jws && isOurHeader(jws.header) && !keyRing.findVerifier(jws.header.kid)
      if (!isOfUnknownKey || !acceptable(jws)) return undefined
      // With the keys read and none of HS256 among them, there is none to look for.
      if (jws.header.kid === undefined && keyRing.version() > 0) return undefined
      await keyRing.refreshIfStale()
      return verify(token)
    },
    verifyByLibrary: async (token) => {
      const jws = parseCompactJws(token)
      const verifier = jws && verifierOf(jws)
      if (!verifier) return undefined
      const options = {
        algorithms: [verifier.algorithm],
        issuer,
        audience: audiences,
        typ: tokenType,
        requiredClaims,
        currentDate: new Date(clock()),
      }
      const secrets = verifier.algorithm === 'HS256' ? verifier.secrets : [verifier.publicKey]
      const answers = secrets.map((secret) =>
        jwt({ name: 'verification', secret, alg: verifier.algorithm }).decorator.verification.verify(token, options),
      )
      return (await Promise.all(answers)).some(Boolean) ? acceptable(jws) : undefined
    },
    isForPasswordChange: ({ aud }) => aud === audience + passwordChangeSuffix,
  }
}

/** Signs by the library, an instance of which has one key: the latest is kept, until another key signs. */
function createSigning() {
  let latest: { readonly key: Signer['key']; readonly plugin: ReturnType<typeof pluginFor> } | undefined
  return (signer: Signer, claims: Parameters<ReturnType<typeof pluginFor>['sign']>[0]): Promise<string> => {
    if (latest?.key !== signer.key) latest = { key: signer.key, plugin: pluginFor(signer) }
    return latest.plugin.sign(claims)
  }
}

function pluginFor({ algorithm, kid, key }: Signer) {
  const name = kid === undefined ? {} : { kid }
  return jwt({ name: 'accessTokens', secret: key, alg: algorithm, typ: tokenType, ...name }).decorator.accessTokens
}

type OurHeader = { readonly alg: Verifier['algorithm']; readonly typ: string; readonly kid: string | undefined }

/**
 * Exactly what we write: no `crit`, no `b64`, no key that a token brings along (RFC 8725 §3.1). HS256 has no `kid`, all else has,
 * so that no public key is ever tried as a secret.
 */
function isOurHeader(header: CompactJws['header']): header is CompactJws['header'] & OurHeader {
  const { alg, typ, kid } = header
  if (typ !== tokenType) return false
  if (alg === 'HS256') return Object.keys(header).length === 2
  const isOfPair = alg === 'EdDSA' || alg === 'ES256' || alg === 'RS256'
  return isOfPair && typeof kid === 'string' && thumbprint.test(kid) && Object.keys(header).length === 3
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
