import { createHash, randomInt } from 'node:crypto'
import { crc32 } from 'node:zlib'

/** By which people, logs and scanners for leaked secrets know a key of ours. */
const prefix = 'atk_'
/** No other character, so that a double click takes the whole of a key. */
const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
/** 256 bits. */
const secretLength = 43
/** 32 bits. */
const checksumLength = 6
const format = new RegExp(`^${prefix}[0-9A-Za-z]{${secretLength + checksumLength}}$`)

/** A new key: `atk_`, 43 random letters and digits, and six that check the ones before them (CRC-32). */
export function generateApiKey(): string {
  const secret = Array.from({ length: secretLength }, () => alphabet[randomInt(alphabet.length)]).join('')
  return prefix + secret + checksumOf(prefix + secret)
}

/** Whether a text means to be a key of ours. It need not be one. */
export function looksLikeApiKey(text: string | undefined): text is string {
  return text?.startsWith(prefix) === true
}

/**
 * SHA-256 of a key in hexadecimal, by which the database knows it; undefined for what no key of ours can be, a mistyped one
 * among them. A key has 256 random bits: nobody finds it by guessing, so that a hash that costs much would guard nothing.
 */
export function digestOfApiKey(text: string): string | undefined {
  if (!format.test(text)) return undefined
  const body = text.slice(0, -checksumLength)
  return text === body + checksumOf(body) ? createHash('sha256').update(text).digest('hex') : undefined
}

function checksumOf(text: string): string {
  let rest = crc32(text)
  return Array.from({ length: checksumLength }, () => {
    const digit = alphabet[rest % alphabet.length]
    rest = Math.floor(rest / alphabet.length)
    return digit
  })
    .reverse()
    .join('')
}
