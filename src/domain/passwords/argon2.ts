import { decoyPassword, type HashWork } from '../hashes/hashWork.ts'
import type { HashCost } from './hashCost.ts'
import type { Argon2Parameters } from './hashLimits.ts'

/** Verifies argon2 hashes, in the thread pool. */
export interface Argon2Verifier {
  readonly name: 'native' | 'bun'
  /** Approximate time, relative to `Bun.password`. */
  readonly relativeTime: number
  /** Throws if the algorithm rejects the hash. */
  verify(password: string, hash: string): Promise<boolean>
}

export const bunArgon2: Argon2Verifier = {
  name: 'bun',
  relativeTime: 1,
  verify: (password, hash) => Bun.password.verify(password, hash),
}

/**
 * Without leading zeros, which the addon rejects, and with a salt and a digest of 8 to 64 bytes.
 */
const standardFormat =
  /^\$argon2(?:id|i|d)\$v=19\$m=[1-9]\d*,t=[1-9]\d*,p=[1-9]\d*\$[A-Za-z0-9+/]{11,86}\$[A-Za-z0-9+/]{11,86}$/

/**
 * Returns the verifier for a hash within our limits: `Bun.password` unless the format is standard.
 */
export function verifierFor(hash: string, argon2: Argon2Verifier): Argon2Verifier {
  return standardFormat.test(hash) ? argon2 : bunArgon2
}

/**
 * Returns the work of an argon2 hash. Hashes with different parameters are different kinds: each
 * call also clears its memory, and less of it fits better into the caches.
 */
export function argon2Work(
  { type, memoryKib, timeCost, parallelism }: Argon2Parameters,
  argon2: Argon2Verifier,
): HashWork {
  return {
    kind: `${type} by ${argon2.name} with m=${memoryKib}, t=${timeCost}, p=${parallelism}`,
    amount: 1,
    share: (argon2.relativeTime * memoryKib * timeCost) / (65_536 * 2),
    memory: memoryKib * 1024,
    isKept: argon2.name === 'bun',
    spend: async () => {
      const parameters = `m=${memoryKib},t=${timeCost},p=${parallelism}`
      return argon2.verify(decoyPassword, `$${type}$v=19$${parameters}$${'A'.repeat(22)}$${'A'.repeat(43)}`)
    },
  }
}

/** The work of a hash that `hashPassword` makes. */
export function newHashWork(cost: HashCost, argon2: Argon2Verifier): HashWork {
  return argon2Work({ ...cost, type: 'argon2id', parallelism: 1 }, argon2)
}
