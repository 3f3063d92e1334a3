import { jwt } from '@elysiajs/jwt'
import type { Clock } from '../../../src/clock.ts'
import type { Verifier } from '../../../src/domain/keys/loadedKeys.ts'
import type { FixedKeyRing } from './fixedKeyRing.ts'

type Claims = Record<string, unknown>

/**
 * An independent verifier to compare with: jose, by way of @elysiajs/jwt, checks the signature. The
 * other rules are written from RFC 7515, RFC 7519, RFC 9068 and docs/decisions/0004.
 */
export function createLibraryVerifier(keyRing: FixedKeyRing, clock: Clock) {
  return async (token: string): Promise<Claims | undefined> => {
    const [header, claims] = token.split('.').slice(0, 2).map(decodeCanonical)
    if (!header || !claims || token.length > 4096) return undefined
    const verifier = findVerifier(keyRing, header)
    if (!verifier || !(await isSigned(token, verifier, clock))) return undefined
    return hasAcceptableClaims(claims, Math.floor(clock() / 1000)) ? claims : undefined
  }
}

function findVerifier(keyRing: FixedKeyRing, { alg, typ, kid, ...others }: Claims): Verifier | undefined {
  if (typ !== 'at+jwt' || Object.keys(others).length > 0) return undefined
  const verifier = keyRing.findVerifier(kid as string | undefined)
  return verifier?.algorithm === alg ? verifier : undefined
}

async function isSigned(token: string, verifier: Verifier, clock: Clock): Promise<boolean> {
  // jose accepts more than one form of a signature.
  const signature = token.split('.').slice(2).join('.')
  if (Buffer.from(signature, 'base64url').toString('base64url') !== signature) return false
  const alg = verifier.algorithm
  const secrets = alg === 'HS256' ? verifier.secrets : [verifier.publicKey]
  const options = {
    algorithms: [alg],
    issuer: 'audittrail',
    audience: ['audittrail', 'audittrail/password-change'],
    typ: 'at+jwt',
    requiredClaims: ['iss', 'aud', 'sub', 'uid', 'sid', 'jti', 'roles', 'iat', 'exp'],
    currentDate: new Date(clock()),
  }
  const results = secrets.map((secret) =>
    jwt({ name: 'verification', secret, alg }).decorator.verification.verify(token, options),
  )
  return (await Promise.all(results)).some(Boolean)
}

/** Returns the JSON object of a segment, if it is in the only form that we write. */
function decodeCanonical(segment: string): Claims | undefined {
  const bytes = Buffer.from(segment, 'base64url')
  const text = bytes.toString()
  const isCanonical = bytes.toString('base64url') === segment && Buffer.from(text).equals(bytes)
  return isCanonical && isCanonicalJson(text) && text.startsWith('{') ? JSON.parse(text) : undefined
}

export function isCanonicalJson(text: string): boolean {
  try {
    return JSON.stringify(JSON.parse(text)) === text
  } catch {
    return false
  }
}

export function hasAcceptableClaims(claims: Claims, now: number): boolean {
  const text = (name: string, pattern: RegExp) => typeof claims[name] === 'string' && pattern.test(claims[name])
  const id = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/
  const whole = (name: string, from: number, to: number) => {
    const value = claims[name]
    return typeof value === 'number' && Math.floor(value) === value && value >= from && value <= to
  }
  const far = 9007199254740991
  return (
    text('iss', /^audittrail$/) &&
    text('aud', /^audittrail(\/password-change)?$/) &&
    text('sub', /^[^\0\p{Surrogate}]*$/u) &&
    text('uid', id) &&
    text('sid', id) &&
    text('jti', id) &&
    Array.isArray(claims.roles) &&
    !claims.roles.some((role) => typeof role !== 'string') &&
    whole('iat', 0, now + 5) &&
    whole('exp', now + 1, far) &&
    (!('nbf' in claims) || whole('nbf', 0, now))
  )
}
