import type { HashCost } from './hashCost.ts'

export interface Argon2Parameters extends HashCost {
  readonly type: 'argon2id' | 'argon2i' | 'argon2d'
  readonly parallelism: number
}

/**
 * Costlier hashes are not verified: one of them, written to the database, could stop the service.
 */
const maximum = { memoryKib: 524_288, memoryKibTimesPasses: 524_288 * 8, parallelism: 16, bcryptCost: 15 }

/**
 * The algorithms reject less (RFC 9106 §3.1), and too many passwords match a digest of a few bytes.
 */
const minimum = { memoryKibPerLane: 8, saltBytes: 8, digestBytes: 16, bcryptCost: 4 }

const argon2Format =
  /^\$(argon2(?:id|i|d))\$v=19\$m=(\d{1,8}),t=(\d{1,4}),p=(\d{1,4})\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/
const bcryptFormat = /^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$/

/** Returns whether `Bun.password` can verify a hash at a cost within the limits above. */
export function isWithinLimits(hash: string): boolean {
  const argon2 = argon2ParametersOf(hash)
  if (argon2) return isArgon2WithinLimits(argon2)
  const bcrypt = bcryptCostOf(hash)
  return bcrypt !== undefined && bcrypt >= minimum.bcryptCost && bcrypt <= maximum.bcryptCost
}

/** Returns the parameters of an argon2 hash in PHC string format; undefined for any other text. */
export function argon2ParametersOf(hash: string): Argon2Parameters | undefined {
  const match = argon2Format.exec(hash)
  if (!match) return undefined
  const type = match[1] as Argon2Parameters['type']
  const [memoryKib = 0, timeCost = 0, parallelism = 0] = match.slice(2, 5).map(Number)
  const [salt = '', digest = ''] = match.slice(5)
  if (![salt, digest].every(isBase64Length)) return undefined
  if (byteLength(salt) < minimum.saltBytes || byteLength(digest) < minimum.digestBytes) return undefined
  return { type, memoryKib, timeCost, parallelism }
}

/**
 * Returns the cost of a bcrypt hash, the base-2 logarithm of its rounds; undefined for any other
 * text.
 */
export function bcryptCostOf(hash: string): number | undefined {
  const cost = bcryptFormat.exec(hash)?.[1]
  return cost === undefined ? undefined : Number(cost)
}

function isArgon2WithinLimits({ memoryKib, timeCost, parallelism }: Argon2Parameters): boolean {
  if (timeCost < 1 || parallelism < 1 || memoryKib < minimum.memoryKibPerLane * parallelism) return false
  return (
    memoryKib <= maximum.memoryKib &&
    memoryKib * timeCost <= maximum.memoryKibTimesPasses &&
    parallelism <= maximum.parallelism
  )
}

/**
 * Base64 without padding: four characters hold three bytes, and a single one left over holds none.
 */
function isBase64Length(text: string): boolean {
  return text.length % 4 !== 1
}

function byteLength(base64: string): number {
  return Math.floor((base64.length * 3) / 4)
}
