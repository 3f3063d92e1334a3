import { createHmac, hkdfSync } from 'node:crypto'

/**
 * SECRET_KEY and the keys in SECRET_KEY_PREVIOUS, which still verify and decrypt but create nothing
 * new. The next key is listed there too, until every replica knows it.
 */
export interface SecretKeys {
  readonly current: string
  readonly previous: readonly string[]
}

/**
 * One entry per secret key, the current one first. The first creates; all of them are tried when
 * verifying.
 */
export type KeysOfEach = readonly [Buffer, ...Buffer[]]

/**
 * Derives 32 bytes from each secret key with HKDF-SHA-256 (RFC 5869). Every use of SECRET_KEY
 * except HS256 has its own label, `audittrail …`, so that no two uses share a key.
 */
export function deriveKeys({ current, previous }: SecretKeys, label: string): KeysOfEach {
  return [deriveKey(current, label), ...previous.map((secretKey) => deriveKey(secretKey, label))]
}

/** Derives keys on first use, and again once the secret keys have changed. */
export function createKeyDeriver(secretKeys: () => SecretKeys, label: string): () => KeysOfEach {
  let derivedFrom: SecretKeys | undefined
  let derived: KeysOfEach | undefined
  return () => {
    const current = secretKeys()
    if (!derived || derivedFrom !== current) derived = deriveKeys(current, label)
    derivedFrom = current
    return derived
  }
}

export function deriveKey(secretKey: string, label: string): Buffer {
  return Buffer.from(hkdfSync('sha256', secretKey, '', label, 32))
}

/**
 * Returns the fingerprint by which a database recognizes its SECRET_KEY: a MAC in 64 hex digits
 * that reveals nothing.
 */
export function fingerprintOf(secretKey: string): string {
  return createHmac('sha256', deriveKey(secretKey, 'audittrail fingerprint')).update('SECRET_KEY').digest('hex')
}

/** Returns the secret key with this fingerprint, or undefined. */
export function findSecretKey({ current, previous }: SecretKeys, fingerprint: string): string | undefined {
  return [current, ...previous].find((secretKey) => fingerprintOf(secretKey) === fingerprint)
}

/** Bytes: as strong as the MACs made with it. */
const minBytes = 32
/** Each key is tried on each invalid token. */
const maxPrevious = 8

export function isSecretKey(text: string): boolean {
  return Buffer.byteLength(text) >= minBytes
}

export function parseSecretKey(text: string): string {
  if (!isSecretKey(text)) throw new Error('must be at least 32 bytes (generate one with: openssl rand -hex 32)')
  return text
}

/** Parses keys separated by commas or line breaks. Ignores white space around them. */
export function parseSecretKeys(text: string): readonly string[] {
  const secretKeys = text.split(/[,\n]/).map((secretKey) => secretKey.trim())
  const parsed = secretKeys.filter((secretKey) => secretKey !== '')
  if (parsed.length > maxPrevious || parsed.some((secretKey) => Buffer.byteLength(secretKey) < minBytes))
    throw new Error('must list up to 8 keys of at least 32 bytes each, separated by commas or line breaks')
  return Object.freeze(parsed)
}
