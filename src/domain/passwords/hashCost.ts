/**
 * Cost of one argon2id hash (RFC 9106): memory in KiB and number of passes. Bun.password uses one
 * lane.
 */
export interface HashCost {
  readonly memoryKib: number
  readonly timeCost: number
}

/** How a verifier's time depends on the cost, as measured in a running server. */
export interface CostCurve {
  /** Time with 64 MiB and two passes, relative to `Bun.password`. */
  readonly unit: number
  /** Time grows slightly faster than memory, which outgrows the CPU caches. */
  readonly memoryExponent: number
}

/** Measured from 8 to 64 MiB. */
export const bunCurve: CostCurve = { unit: 1, memoryExponent: 1.1 }

const reference: HashCost = { memoryKib: 65_536, timeCost: 2 }

/** Returns how long a hash takes, relative to argon2id by `Bun.password` with 64 MiB and two passes. */
export function relativeCostOf({ memoryKib, timeCost }: HashCost, { unit, memoryExponent } = bunCurve): number {
  return (unit * (memoryKib / reference.memoryKib) ** memoryExponent * timeCost) / reference.timeCost
}

/** Returns the cost of a hash that takes `fraction` of the time, by using less memory. */
export function scaleCost(
  { memoryKib, timeCost }: HashCost,
  fraction: number,
  { memoryExponent } = bunCurve,
): HashCost {
  return { memoryKib: Math.round(memoryKib * fraction ** (1 / memoryExponent)), timeCost }
}
