/**
 * The work of verifying one hash. Works of the same kind take time in proportion to their amounts.
 * The ratio of two kinds depends on the machine, and on what else it does.
 */
export interface HashWork {
  /** The algorithm and its other parameters, such as memory: `scrypt with N=16384, r=8, p=1`. */
  readonly kind: string
  /**
   * Rounds of bcrypt, or iterations of PBKDF2 over all blocks. Always 1 for argon2 and scrypt,
   * which are computed whole.
   */
  readonly amount: number
  /**
   * Approximate computing time, relative to argon2id by `Bun.password` with 64 MiB and two passes.
   */
  readonly share: number
  /** Bytes needed; 0 if negligible. */
  readonly memory: number
  /** Whether the process keeps that memory for 0.1 s, as Bun does for what it computes itself. */
  readonly isKept: boolean
  /** Computes an amount of this kind for a decoy, in the thread pool. */
  readonly spend: (amount: number) => Promise<unknown>
}

/** The password of decoys, whose results are dropped: the time does not depend on it. */
export const decoyPassword = 'decoy'

export const withoutMemory = { memory: 0, isKept: false }

const smallestBcryptCost = 4

/** The work of a bcrypt hash. `cost` is the base-2 logarithm of the rounds. */
export function bcryptWork(cost: number): HashWork {
  return {
    kind: 'bcrypt',
    amount: 2 ** cost,
    share: 0.52 * 2 ** (cost - 10),
    ...withoutMemory,
    spend: spendBcryptRounds,
  }
}

/** Rounds that are not a power of two are computed by several hashes. */
async function spendBcryptRounds(rounds: number): Promise<void> {
  for (let cost = smallestBcryptCost; 2 ** cost <= rounds; cost++) {
    if ((rounds & (2 ** cost)) === 0) continue
    await Bun.password.verify(decoyPassword, `$2b$${String(cost).padStart(2, '0')}$${'.'.repeat(53)}`)
  }
}
