import { randomBytes } from 'node:crypto'
import { bcryptShare, type KnownHash, withoutSpareBits } from '../hashes/encoding.ts'
import { readThirdPartyHash, withoutDjangoPrefix } from '../hashes/formats.ts'
import { normalizePassword } from './normalize.ts'

/** Cost of one argon2id hash (RFC 9106): memory in KiB, passes. The parallelism of Bun.password is 1. */
export interface HashCost {
  readonly memoryKib: number
  readonly timeCost: number
}

/** Hashes dearer than this are not verified: whoever can write one into the database could stop the service with it. */
const maximumCost = { memoryKib: 524_288, work: 524_288 * 8, parallelism: 16, bcryptCost: 15 }

/** Less than this the algorithms do not take (RFC 9106 §3.1); of a digest of a few bytes too many passwords would fit it. */
const minimumCost = { memoryKibOfLane: 8, saltBytes: 8, digestBytes: 16, bcryptCost: 4 }

/** bcrypt reads 72 bytes and no more; what is longer Bun hashes first, which other programs do not. */
const bcryptBytes = 72

/** An argon2id hash in PHC string format. */
export function hashPassword(password: string, { memoryKib, timeCost }: HashCost): Promise<string> {
  return Bun.password.hash(normalizePassword(password), { algorithm: 'argon2id', memoryCost: memoryKib, timeCost })
}

/** `unusable`: there is no hash, or none that we know and can bear. It has cost nothing. */
export type Verdict = 'right' | 'wrong' | 'unusable'

/**
 * Whether the password belongs to the hash, where that takes no more than `memory` bytes. A verdict that refuses somebody is to be
 * followed by `payInFull`.
 */
export async function verifyPassword(
  password: string,
  hash: string | undefined,
  memory = Number.POSITIVE_INFINITY,
): Promise<Verdict> {
  const known = hash === undefined ? undefined : readHash(hash)
  if (!known || (known.memory ?? 0) > memory) return 'unusable'
  try {
    return (await known.verify(normalizePassword(password))) ? 'right' : 'wrong'
  } catch {
    // Looks like a hash and is none.
    return 'unusable'
  }
}

/**
 * Works on a decoy for as long as a verification at today's cost takes longer than the one that was made: all of it where there was
 * nothing to verify, the rest where the stored hash is a cheap one. So that time does not tell who exists, and who is disabled.
 */
export async function equalizeCost(
  password: string,
  hash: string | undefined,
  verdict: Verdict,
  cost: HashCost,
): Promise<void> {
  const share = hash === undefined || verdict === 'unusable' ? 0 : (readHash(hash)?.share ?? 0)
  const paid = (share * argon2Work(yardstick)) / argon2Work(cost)
  if (paid >= 1) return
  const memoryKib = Math.round(cost.memoryKib * (1 - paid) ** (1 / memoryExponent))
  if (memoryKib < smallestDecoyKib) return
  await Bun.password.verify(normalizePassword(password), decoyHash({ memoryKib, timeCost: cost.timeCost }))
}

/**
 * True when a hash is not as new ones are, cheaper or dearer: time to make it anew, while the password is at hand, so that this user's
 * refusals take as long as all others. Not from a password of which bcrypt has read a part alone: what is behind it may be a slip
 * of the fingers.
 */
export function isOutdated(hash: string, password: string, { memoryKib, timeCost }: HashCost): boolean {
  if (withoutDjangoPrefix(hash).startsWith('$2') && Buffer.byteLength(normalizePassword(password)) > bcryptBytes)
    return false
  return !hash.startsWith(`$argon2id$v=19$m=${memoryKib},t=${timeCost},p=1$`)
}

/** A hash as one to verify against; undefined where it is no hash that we know, or dearer than we compute. */
export function readHash(hash: string): KnownHash | undefined {
  const plain = withoutDjangoPrefix(hash)
  if (!isWithinLimits(plain)) return readThirdPartyHash(hash)
  return {
    verify: (text) =>
      plain.startsWith('$2')
        ? Bun.password.verify(cutForBcrypt(text), withoutSpareBits(plain))
        : Bun.password.verify(text, plain),
    share: workOf(plain) / argon2Work(yardstick),
    memory: (argon2ParametersOf(plain)?.memoryKib ?? 0) * 1024,
  }
}

/** 32 characters, so that a byte falls on each equally often; none that is taken for another. */
const oneTimeAlphabet = 'abcdefghjkmnpqrstuvwxyz23456789T'

/** A password that nobody has thought of: 120 random bits, of letters and digits that are read aloud without doubt. */
export function makeOneTimePassword(): string {
  const letters = Array.from(randomBytes(24), (byte) => oneTimeAlphabet[byte % oneTimeAlphabet.length])
  return letters.join('').replace(/(.{6})(?=.)/g, '$1-')
}

function cutForBcrypt(text: string): Buffer {
  return Buffer.from(text).subarray(0, bcryptBytes)
}

/** A hash that no password has: the right cost, a random salt and a random digest. */
function decoyHash({ memoryKib, timeCost }: HashCost): string {
  const field = (bytes: number) => randomBytes(bytes).toString('base64').replace(/=+$/, '')
  return `$argon2id$v=19$m=${memoryKib},t=${timeCost},p=1$${field(32)}$${field(32)}`
}

/**
 * Time grows a little faster than memory, which leaves the caches: measured from 8 to 64 MiB. What a hash of another kind costs
 * is measured against the yardstick.
 */
const memoryExponent = 1.1
const yardstick: HashCost = { memoryKib: 65_536, timeCost: 2 }
const smallestDecoyKib = 64

function argon2Work({ memoryKib, timeCost }: HashCost): number {
  return memoryKib ** memoryExponent * timeCost
}

/** How long a hash takes to verify, in the unit of `argon2Work`. */
function workOf(hash: string): number {
  const bcrypt = bcryptCostOf(hash)
  if (bcrypt !== undefined) return bcryptShare(bcrypt) * argon2Work(yardstick)
  const argon2 = argon2ParametersOf(hash)
  return argon2 ? argon2Work(argon2) : 0
}

/** Known to Bun.password, and no dearer than we allow. */
function isWithinLimits(hash: string): boolean {
  const argon2 = argon2ParametersOf(hash)
  if (argon2) {
    const { memoryKib, timeCost, parallelism } = argon2
    if (timeCost < 1 || parallelism < 1 || memoryKib < minimumCost.memoryKibOfLane * parallelism) return false
    return (
      memoryKib <= maximumCost.memoryKib &&
      memoryKib * timeCost <= maximumCost.work &&
      parallelism <= maximumCost.parallelism
    )
  }
  const bcrypt = bcryptCostOf(hash)
  return bcrypt !== undefined && bcrypt >= minimumCost.bcryptCost && bcrypt <= maximumCost.bcryptCost
}

function argon2ParametersOf(hash: string): (HashCost & { readonly parallelism: number }) | undefined {
  const found =
    /^\$argon2(?:id|i|d)\$v=19\$m=(\d{1,8}),t=(\d{1,4}),p=(\d{1,4})\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/.exec(hash)
  if (!found) return undefined
  const [memoryKib = 0, timeCost = 0, parallelism = 0] = found.slice(1).map(Number)
  const [salt = '', digest = ''] = found.slice(4)
  // Four letters make three bytes, and one letter over makes none.
  if ([salt, digest].some((field) => field.length % 4 === 1)) return undefined
  if (byteLength(salt) < minimumCost.saltBytes || byteLength(digest) < minimumCost.digestBytes) return undefined
  return { memoryKib, timeCost, parallelism }
}

function byteLength(base64: string): number {
  return Math.floor((base64.length * 3) / 4)
}

function bcryptCostOf(hash: string): number | undefined {
  const cost = /^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$/.exec(hash)?.[1]
  return cost === undefined ? undefined : Number(cost)
}
