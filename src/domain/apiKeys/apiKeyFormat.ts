import { createHash, randomInt } from 'node:crypto'
import { crc32 } from 'node:zlib'

/** Identifies our keys to people, logs and secret scanners. */
const prefix = 'atk_'
/** Letters and digits only, so that a double click selects the whole key. */
const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
/** Holds 256 bits. */
const secretLength = 43
/** Holds 32 bits. */
const checksumLength = 6
export const apiKeyPattern = `^${prefix}[0-9A-Za-z]{${secretLength + checksumLength}}$`
const format = new RegExp(apiKeyPattern)

/**
 * Returns a new key: `atk_`, 43 random letters and digits, and a checksum of six more (CRC-32 of
 * all before it).
 */
export function generateApiKey(): string {
  const secret = Array.from({ length: secretLength }, () => alphabet[randomInt(alphabet.length)]).join('')
  return prefix + secret + checksumOf(prefix + secret)
}

/**
 * Returns whether a credential is presented as an API key. It may still be malformed or unknown.
 */
export function looksLikeApiKey(text: string | undefined): text is string {
  return text?.startsWith(prefix) === true
}

/**
 * Returns the SHA-256 of a key in hexadecimal, as stored in the database; undefined if the format
 * or checksum is wrong. A slow hash would add nothing, because 256 random bits cannot be found by
 * brute force.
 */
export function digestOfApiKey(text: string): string | undefined {
  if (!format.test(text)) return undefined
  const body = text.slice(0, -checksumLength)
  return text === body + checksumOf(body) ? createHash('sha256').update(text).digest('hex') : undefined
}

/** Returns the CRC-32 in base 62, most significant digit first. */
function checksumOf(text: string): string {
  let remaining = crc32(text)
  return Array.from({ length: checksumLength }, () => {
    const digit = alphabet[remaining % alphabet.length]
    remaining = Math.floor(remaining / alphabet.length)
    return digit
  })
    .reverse()
    .join('')
}
