import { createHmac, hkdfSync } from 'node:crypto'

/**
 * SECRET_KEY, and the ones of SECRET_KEY_PREVIOUS: of these too what they made is honoured, and nothing new is made with
 * them. A coming key is listed there as well, until every replica knows it.
 */
export interface SecretKeys {
  readonly current: string
  readonly previous: readonly string[]
}

/** One for each secret key, the current one first: that one makes, all of them are tried on what comes back. */
export type KeysOfEach = readonly [Buffer, ...Buffer[]]

/**
 * 32 bytes of each secret key by HKDF-SHA-256 (RFC 5869). Whatever is made with SECRET_KEY beside tokens of HS256 has a
 * label of its own, `audittrail …`, so that no two uses share a key.
 */
export function deriveKeys({ current, previous }: SecretKeys, label: string): KeysOfEach {
  return [deriveKey(current, label), ...previous.map((secretKey) => deriveKey(secretKey, label))]
}

export function deriveKey(secretKey: string, label: string): Buffer {
  return Buffer.from(hkdfSync('sha256', secretKey, '', label, 32))
}

/** By which a database knows the SECRET_KEY that it is used with: a MAC that tells nothing of the key. 64 hex digits. */
export function fingerprintOf(secretKey: string): string {
  return createHmac('sha256', deriveKey(secretKey, 'audittrail fingerprint')).update('SECRET_KEY').digest('hex')
}

/** The secret key of that fingerprint; undefined where it is none of these. */
export function findSecretKey({ current, previous }: SecretKeys, fingerprint: string): string | undefined {
  return [current, ...previous].find((secretKey) => fingerprintOf(secretKey) === fingerprint)
}

/** Bytes: as strong as the MACs that are made with it. */
const shortest = 32
/** More than anybody changes through at once; each one is tried on each bad token. */
const mostPrevious = 8

export function parseSecretKey(text: string): string {
  if (Buffer.byteLength(text) < shortest) throw new Error('at least 32 bytes (generate one with: openssl rand -hex 32)')
  return text
}

/** Keys with a comma or a line break between; what is white around one is none of it. */
export function parseSecretKeys(text: string): readonly string[] {
  const secretKeys = text.split(/[,\n]/).map((secretKey) => secretKey.trim())
  const given = secretKeys.filter((secretKey) => secretKey !== '')
  if (given.length > mostPrevious || given.some((secretKey) => Buffer.byteLength(secretKey) < shortest))
    throw new Error('up to 8 keys of at least 32 bytes each, separated by commas or line breaks')
  return Object.freeze(given)
}
