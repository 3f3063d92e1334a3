// What the readers of other programs' hashes have in common.

/** A hash that has been read. */
export interface KnownHash {
  /** Whether a password belongs to it. Computed in the thread pool. */
  readonly verify: (password: string) => Promise<boolean>
  /** How long that takes, beside argon2id with 64 MiB and two passes. */
  readonly share: number
  /** Bytes that it takes meanwhile; undefined where they are few. */
  readonly memory?: number
}

/** The share of bcrypt: at cost 10 as measured, and each step twice that. */
export function bcryptShare(cost: number): number {
  return 0.61 * 2 ** (cost - 10)
}

const bcryptLetters = './ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'

/**
 * The same bcrypt hash with the bits at zero that belong to nothing: 22 letters hold four bits more than the salt, 31 two more than
 * the digest. Other programs pass over them; Bun takes no hash that has one set.
 */
export function withoutSpareBits(bcrypt: string): string {
  const cleared = (at: number, kept: number) => bcryptLetters[bcryptLetters.indexOf(bcrypt[at] ?? '.') & kept]
  return `${bcrypt.slice(0, 28)}${cleared(28, 0b110000)}${bcrypt.slice(29, 59)}${cleared(59, 0b111100)}`
}

/** The bytes of base64 in any dress: padded or not, `+` also written `.` (passlib) or `-`, `/` also `_`. */
export function bytesOfBase64(text: string): Buffer | undefined {
  if (!/^[A-Za-z0-9+/._-]*={0,2}$/.test(text)) return undefined
  return Buffer.from(text.replaceAll('.', '+'), 'base64')
}

/** The bytes of hexadecimal; undefined where a digit lacks its fellow. */
export function bytesOfHex(text: string): Buffer | undefined {
  return /^(?:[0-9a-f]{2})+$/i.test(text) ? Buffer.from(text, 'hex') : undefined
}

/** Base64 without padding: a field of the PHC string format. */
export function phcField(bytes: Buffer): string {
  return bytes.toString('base64').replace(/=+$/, '')
}
