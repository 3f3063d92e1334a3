import { createHash, createPublicKey, generateKeyPair, type KeyObject } from 'node:crypto'
import { promisify } from 'node:util'
import type { PairAlgorithm } from '../../algorithms.ts'

/**
 * A published public key (RFC 7517 §4; RFC 7518 §6.2, §6.3; RFC 8037 §2). Never has a private
 * member.
 */
export interface PublicJwk {
  readonly kty: 'OKP' | 'EC' | 'RSA'
  readonly use: 'sig'
  readonly alg: PairAlgorithm
  readonly kid: string
  readonly crv?: string
  readonly x?: string
  readonly y?: string
  readonly n?: string
  readonly e?: string
}

export interface KeyPair {
  readonly algorithm: PairAlgorithm
  /** The RFC 7638 thumbprint of the public key. */
  readonly kid: string
  readonly publicJwk: PublicJwk
  readonly privateKey: KeyObject
}

/**
 * As strong as the other two, 128 bits (NIST SP 800-57 Part 1, table 2). RFC 7518 §3.3 requires at
 * least 2,048.
 */
const rsaBits = 3072

const generate = promisify(generateKeyPair)

/** Generates a key pair in the background, since RSA takes a moment. */
export async function createKeyPair(algorithm: PairAlgorithm): Promise<KeyPair> {
  const { publicKey, privateKey } = await generators[algorithm]()
  const members = publicMembers(publicKey)
  const kid = thumbprintOf(members)
  return { algorithm, kid, publicJwk: { ...members, use: 'sig', alg: algorithm, kid }, privateKey }
}

const generators = {
  EdDSA: () => generate('ed25519', {}),
  ES256: () => generate('ec', { namedCurve: 'P-256' }),
  RS256: () => generate('rsa', { modulusLength: rsaBits }),
} as const

export function readPublicKey(jwk: PublicJwk): KeyObject {
  return createPublicKey({ key: { ...jwk }, format: 'jwk' })
}

type PublicMembers = Pick<PublicJwk, 'kty' | 'crv' | 'x' | 'y' | 'n' | 'e'>

/** Copied by name, so that an export cannot leak other members. */
function publicMembers(publicKey: KeyObject): PublicMembers {
  const { kty, crv, x, y, n, e } = publicKey.export({ format: 'jwk' }) as PublicMembers
  if (kty === 'RSA') return { kty, n: n as string, e: e as string }
  return kty === 'EC'
    ? { kty, crv: crv as string, x: x as string, y: y as string }
    : { kty, crv: crv as string, x: x as string }
}

/**
 * Returns the RFC 7638 §3 thumbprint: SHA-256 over the members in the order of their names, in
 * base64url.
 */
export function thumbprintOf({ kty, crv, x, y, n, e }: PublicMembers): string {
  return createHash('sha256').update(JSON.stringify({ crv, e, kty, n, x, y })).digest('base64url')
}
