/**
 * Cost of one argon2id hash (RFC 9106): memory in KiB and number of passes. Bun.password uses one
 * lane.
 */
export interface HashCost {
  readonly memoryKib: number
  readonly timeCost: number
}

/** The unit of relative cost: argon2id with 64 MiB and two passes. */
const reference: HashCost = { memoryKib: 65_536, timeCost: 2 }

/**
 * Time grows slightly faster than memory, which outgrows the CPU caches. Measured from 8 to 64 MiB.
 */
const memoryExponent = 1.1

/** Returns how long a hash takes, relative to argon2id with 64 MiB and two passes. */
export function relativeCostOf({ memoryKib, timeCost }: HashCost): number {
  return ((memoryKib / reference.memoryKib) ** memoryExponent * timeCost) / reference.timeCost
}

/** Returns the cost of a hash that takes `fraction` of the time, by using less memory. */
export function scaleCost({ memoryKib, timeCost }: HashCost, fraction: number): HashCost {
  return { memoryKib: Math.round(memoryKib * fraction ** (1 / memoryExponent)), timeCost }
}
