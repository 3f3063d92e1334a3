import { randomBytes } from 'node:crypto'

/** Cost of one argon2id hash (RFC 9106): memory in KiB, passes. The parallelism of Bun.password is 1. */
export interface HashCost {
  readonly memoryKib: number
  readonly timeCost: number
}

/** Hashes dearer than this are not verified: whoever can write one into the database could stop the service with it. */
const dearest = { work: 524_288 * 8, parallelism: 16, bcryptCost: 15 }

/** bcrypt reads 72 bytes and no more; what is longer Bun hashes first, which other programs do not. */
const bcryptBytes = 72

/** An argon2id hash in PHC string format. */
export function hashPassword(password: string, { memoryKib, timeCost }: HashCost): Promise<string> {
  return Bun.password.hash(normalized(password), { algorithm: 'argon2id', memoryCost: memoryKib, timeCost })
}

/**
 * True when the password belongs to the hash. Without a hash to hold it against (`undefined`: no such user) it works as
 * long on a decoy and answers false, so that time does not tell who exists.
 */
export async function verifyPassword(password: string, hash: string | undefined, cost: HashCost): Promise<boolean> {
  const text = normalized(password)
  if (hash !== undefined && isBearable(hash)) {
    try {
      return await Bun.password.verify(hash.startsWith('$2') ? cutForBcrypt(text) : text, hash)
    } catch {
      // Looks like a hash and is none: as good as no such user.
    }
  }
  await Bun.password.verify(text, decoyHash(cost))
  return false
}

/**
 * True when a hash costs less than new ones do: time to make it anew, while the password is at hand. Not from a password of
 * which bcrypt has read a part alone: what is behind it may be a slip of the fingers.
 */
export function isOutdated(hash: string, password: string, { memoryKib, timeCost }: HashCost): boolean {
  if (hash.startsWith('$2') && Buffer.byteLength(normalized(password)) > bcryptBytes) return false
  const [, memory = '0', time = '0'] = /^\$argon2id\$v=19\$m=(\d+),t=(\d+),/.exec(hash) ?? []
  return Number(memory) < memoryKib || Number(time) < timeCost
}

/** 32 characters, so that a byte falls on each equally often; none that is taken for another. */
const oneTimeAlphabet = 'abcdefghjkmnpqrstuvwxyz23456789T'

/** A password that nobody has thought of: 120 random bits, of letters and digits that are read aloud without doubt. */
export function makeOneTimePassword(): string {
  const letters = Array.from(randomBytes(24), (byte) => oneTimeAlphabet[byte % oneTimeAlphabet.length])
  return letters.join('').replace(/(.{6})(?=.)/g, '$1-')
}

/** RFC 8265 §4.2.2: one spelling of each character, or é typed on two keyboards would be two passwords. */
function normalized(password: string): string {
  return password.normalize('NFC')
}

function cutForBcrypt(text: string): Buffer {
  return Buffer.from(text).subarray(0, bcryptBytes)
}

/** A hash that no password has: the right cost, a random salt and a random digest. */
function decoyHash({ memoryKib, timeCost }: HashCost): string {
  const field = (bytes: number) => randomBytes(bytes).toString('base64').replace(/=+$/, '')
  return `$argon2id$v=19$m=${memoryKib},t=${timeCost},p=1$${field(32)}$${field(32)}`
}

/** Known to Bun.password, and no dearer than we allow. */
function isBearable(hash: string): boolean {
  const argon2 = /^\$argon2(?:id|i|d)\$v=19\$m=(\d{1,8}),t=(\d{1,4}),p=(\d{1,4})\$[A-Za-z0-9+/]+\$[A-Za-z0-9+/]+$/.exec(
    hash,
  )
  if (argon2) {
    const [memoryKib = 0, timeCost = 0, parallelism = 0] = argon2.slice(1).map(Number)
    return memoryKib * timeCost <= dearest.work && parallelism <= dearest.parallelism
  }
  const bcrypt = /^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$/.exec(hash)
  return bcrypt !== null && Number(bcrypt[1]) <= dearest.bcryptCost
}
