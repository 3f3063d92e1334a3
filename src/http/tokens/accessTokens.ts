import { randomUUID } from 'node:crypto'
import { jwt } from '@elysiajs/jwt'
import type { Clock } from '../../clock.ts'
import type { KeyRing } from '../../domain/keys/keyRing.ts'
import type { Signer, Verifier } from '../../domain/keys/loadedKeys.ts'
import type { Session } from '../../domain/sessions/sessions.ts'
import { isUuid } from '../../uuid.ts'
import { type CompactJws, parseCompactJws, signWithHs256 } from './compactJws.ts'
import { isSignedBy } from './signature.ts'

/** The claims of an access token (RFC 9068 §2.2). `sid` is the session, `uid` the user's id. */
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
  /** Returns an access token for a session. Throws `unavailable` while the keys cannot be read. */
  sign(session: Pick<Session, 'id' | 'user' | 'expiresIn'>): Promise<string>
  /**
   * Returns the claims of a valid token. Synchronous: WebCrypto would queue behind password hashes.
   */
  verify(token: string): AccessClaims | undefined
  /** Returns the claims of a token that is valid except that it has expired. */
  readExpired(token: string): AccessClaims | undefined
  /**
   * Reloads the keys and verifies again, if the key is unknown: another replica may have added it.
   */
  verifyByNewKey(token: string): Promise<AccessClaims | undefined>
  /** Returns whether the token only allows a password change. */
  isForPasswordChange(claims: AccessClaims): boolean
}

/** RFC 9068 §2.1. Keeps ID tokens and other JWTs from passing as access tokens (RFC 8725 §3.11). */
const tokenType = 'at+jwt'
/** Seconds that the signing replica's clock may be ahead of ours. */
const clockSkew = 5
/** Cached results, because a client sends the same token with each request. */
const maxCachedTokens = 4096
const passwordChangeSuffix = '/password-change'
/** A SHA-256 thumbprint (RFC 7638) in base64url. */
const thumbprint = /^[A-Za-z0-9_-]{43}$/

interface CachedToken {
  readonly claims: AccessClaims
  /** Epoch milliseconds at which the token or its key expires. */
  readonly until: number
}

export function createAccessTokens({ keyRing, issuer, audience }: AccessTokenSettings, clock: Clock): AccessTokens {
  const audiences = [audience, audience + passwordChangeSuffix]
  const now = () => Math.floor(clock() / 1000)
  const signWithPair = createPairSigning()
  const cache = new Map<string, CachedToken>()
  let cachedVersion = keyRing.version()

  const ownClaims = (jws: CompactJws): AccessClaims | undefined =>
    hasOwnClaims(jws, issuer, audiences, now()) ? (jws.claims as unknown as AccessClaims) : undefined
  const validClaims = (jws: CompactJws): AccessClaims | undefined => {
    const claims = ownClaims(jws)
    return claims && claims.exp > now() ? claims : undefined
  }

  /** Returns the key that the token names, if its header is the one we write for that key. */
  const verifierOf = ({ header }: CompactJws): Verifier | undefined => {
    const verifier = isExpectedHeader(header) ? keyRing.findVerifier(header.kid) : undefined
    return verifier?.algorithm === header.alg ? verifier : undefined
  }

  const store = (token: string, claims: AccessClaims, { verifiesUntil }: Verifier) => {
    if (cache.size >= maxCachedTokens) cache.clear()
    cache.set(copyOf(token), { claims, until: Math.min(claims.exp * 1000, verifiesUntil) })
  }

  const verify = (token: string): AccessClaims | undefined => {
    if (cachedVersion !== keyRing.version()) {
      cache.clear()
      cachedVersion = keyRing.version()
    }
    const cached = cache.get(token)
    if (cached) return cached.until > clock() ? cached.claims : undefined
    const jws = parseCompactJws(token)
    const verifier = jws && verifierOf(jws)
    const claims = verifier && validClaims(jws)
    if (!claims || !isSignedBy(jws, verifier)) return undefined
    store(token, claims, verifier)
    return claims
  }

  const readExpired = (token: string): AccessClaims | undefined => {
    const jws = parseCompactJws(token)
    const verifier = jws && verifierOf(jws)
    const claims = verifier && ownClaims(jws)
    return claims && claims.exp <= now() && isSignedBy(jws, verifier) ? claims : undefined
  }

  return {
    verify,
    readExpired,
    sign: async ({ id, user, expiresIn }) => {
      const signer = await keyRing.requireSigner()
      const issuedAt = now()
      const claims = {
        iss: issuer,
        // Other services check `aud` and roles, so they reject a quarantined user's token too.
        aud: user.must_change_password ? audience + passwordChangeSuffix : audience,
        sub: user.username,
        uid: user.id,
        sid: id,
        jti: randomUUID(),
        roles: user.must_change_password ? [] : [...user.roles],
        // By this machine's clock, like `iat`.
        exp: issuedAt + expiresIn,
      }
      if (signer.algorithm !== 'HS256') return signWithPair(signer, claims)
      return signWithHs256({ alg: signer.algorithm, typ: tokenType }, { ...claims, iat: issuedAt }, signer.key)
    },
    verifyByNewKey: async (token) => {
      const jws = parseCompactJws(token)
      const hasUnknownKey = jws && isExpectedHeader(jws.header) && !keyRing.findVerifier(jws.header.kid)
      if (!hasUnknownKey || !validClaims(jws)) return undefined
      // Once the keys are loaded, a missing HS256 key will not appear.
      if (jws.header.kid === undefined && keyRing.version() > 0) return undefined
      await keyRing.refreshIfStale()
      return verify(token)
    },
    isForPasswordChange: ({ aud }) => aud === audience + passwordChangeSuffix,
  }
}

type PairSigner = Extract<Signer, { readonly kid: string }>

/** A plugin instance has one key, so the latest instance is kept until the key changes. */
function createPairSigning() {
  let latest: { readonly key: PairSigner['key']; readonly plugin: ReturnType<typeof pluginFor> } | undefined
  return (signer: PairSigner, claims: Parameters<ReturnType<typeof pluginFor>['sign']>[0]): Promise<string> => {
    if (latest?.key !== signer.key) latest = { key: signer.key, plugin: pluginFor(signer) }
    return latest.plugin.sign(claims)
  }
}

function pluginFor({ algorithm, kid, key }: PairSigner) {
  return jwt({ name: 'accessTokens', secret: key, alg: algorithm, typ: tokenType, kid }).decorator.accessTokens
}

type ExpectedHeader = { readonly alg: Verifier['algorithm']; readonly typ: string; readonly kid: string | undefined }

/**
 * Exactly the header we write: no `crit`, no `b64`, no embedded key (RFC 8725 §3.1). Only HS256 has
 * no `kid`, so a public key is never tried as a secret.
 */
function isExpectedHeader(header: CompactJws['header']): header is CompactJws['header'] & ExpectedHeader {
  const { alg, typ, kid } = header
  if (typ !== tokenType) return false
  if (alg === 'HS256') return Object.keys(header).length === 2
  const isAsymmetric = alg === 'EdDSA' || alg === 'ES256' || alg === 'RS256'
  return isAsymmetric && typeof kid === 'string' && thumbprint.test(kid) && Object.keys(header).length === 3
}

/** Returns whether we may have written the claims, expired or not. */
function hasOwnClaims({ claims }: CompactJws, issuer: string, audiences: readonly string[], now: number): boolean {
  const { iss, aud, sub, uid, sid, jti, roles, iat, exp, nbf } = claims
  return (
    iss === issuer &&
    audiences.includes(aud as string) &&
    isText(sub) &&
    [uid, sid, jti].every(isCanonicalUuid) &&
    Array.isArray(roles) &&
    roles.every((role) => typeof role === 'string') &&
    isTime(iat) &&
    iat <= now + clockSkew &&
    isTime(exp) &&
    (nbf === undefined || (isTime(nbf) && nbf <= now))
  )
}

/** Returns whether PostgreSQL can compare the value: text without NUL and lone surrogates. */
function isText(value: unknown): value is string {
  return typeof value === 'string' && value.isWellFormed() && !value.includes('\0')
}

function isCanonicalUuid(value: unknown): boolean {
  return typeof value === 'string' && isUuid(value) && value === value.toLowerCase()
}

/** A substring keeps its whole string in memory: up to 64 KB for a token from a form. */
function copyOf(token: string): string {
  return Buffer.from(token, 'latin1').toString('latin1')
}

/** NumericDate (RFC 7519 §2), in whole seconds. */
function isTime(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}
