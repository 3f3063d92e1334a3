import { randomBytes } from 'node:crypto'

/**
 * 32 characters, so that random bytes map to them evenly. Characters that look alike are left out.
 */
const alphabet = 'abcdefghjkmnpqrstuvwxyz23456789T'

/**
 * Returns a password of 120 random bits that is easy to read aloud: four groups of six letters and
 * digits.
 */
export function generateOneTimePassword(): string {
  const characters = Array.from(randomBytes(24), (byte) => alphabet[byte % alphabet.length])
  return characters.join('').replace(/(.{6})(?=.)/g, '$1-')
}
