import type { HashWork } from './hashWork.ts'

/** A parsed hash. */
export interface KnownHash {
  /** Whether the password matches. Computed in the thread pool. */
  readonly verify: (password: string) => Promise<boolean>
  readonly work: HashWork
}

const bcryptLetters = './ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'

/**
 * Clears the unused bits of a bcrypt hash: 22 letters hold four bits more than the salt, 31 two
 * more than the digest. Other programs ignore these bits, but Bun rejects a hash with one set.
 */
export function withoutSpareBits(bcrypt: string): string {
  const cleared = (at: number, kept: number) => bcryptLetters[bcryptLetters.indexOf(bcrypt[at] ?? '.') & kept]
  return `${bcrypt.slice(0, 28)}${cleared(28, 0b110000)}${bcrypt.slice(29, 59)}${cleared(59, 0b111100)}`
}

/**
 * Decodes base64 with or without padding, with `.` (passlib) or `-` for `+`, and with `_` for `/`;
 * undefined if invalid.
 */
export function bytesOfBase64(text: string): Buffer | undefined {
  if (!/^[A-Za-z0-9+/._-]*={0,2}$/.test(text)) return undefined
  return Buffer.from(text.replaceAll('.', '+'), 'base64')
}

/** Decodes hexadecimal; undefined if invalid or of odd length. */
export function bytesOfHex(text: string): Buffer | undefined {
  return /^(?:[0-9a-f]{2})+$/i.test(text) ? Buffer.from(text, 'hex') : undefined
}

/** Encodes a field of the PHC string format: base64 without padding. */
export function phcField(bytes: Buffer): string {
  return bytes.toString('base64').replace(/=+$/, '')
}
