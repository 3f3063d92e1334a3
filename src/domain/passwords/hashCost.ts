/**
 * Cost of one argon2id hash (RFC 9106): memory in KiB and number of passes. Bun.password uses one
 * lane.
 */
export interface HashCost {
  readonly memoryKib: number
  readonly timeCost: number
}
