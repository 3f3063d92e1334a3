import { randomBytes } from 'node:crypto'
import { type Argon2Verifier, bunArgon2 } from './argon2.ts'
import { type HashCost, relativeCostOf, scaleCost } from './hashCost.ts'
import { normalizePassword } from './normalize.ts'
import { readHash } from './readHash.ts'
import type { Verdict } from './verifyPassword.ts'

/** Less memory takes no measurable time. */
const smallestDecoyKib = 64

/** What every rejected sign-in costs: a new hash, or the costliest stored one if that costs more. */
export interface RejectionCost {
  readonly cost: HashCost
  /** The verifier of stored hashes, and of decoys. */
  readonly argon2?: Argon2Verifier
  /** The `share` of the costliest stored hash. */
  readonly costliest?: number
}

/**
 * Makes every rejected sign-in take the same time, so that response time reveals neither unknown nor
 * disabled users (OWASP ASVS 6.3.8). Verifies decoys that take the time the verification did not.
 */
export async function equalizeCost(
  password: string,
  hash: string | undefined,
  verdict: Verdict,
  rejection: RejectionCost,
): Promise<void> {
  const { argon2 = bunArgon2 } = rejection
  const normalized = normalizePassword(password)
  for (const decoy of decoyCosts(hash, verdict, rejection)) await argon2.verify(normalized, decoyHash(decoy))
}

/**
 * Returns the costs of the decoys: what verifying `hash` did not spend. None needs more memory than
 * a new hash. A rest that is too little to measure is left out.
 */
export function decoyCosts(
  hash: string | undefined,
  verdict: Verdict,
  { cost, argon2 = bunArgon2, costliest = 0 }: RejectionCost,
): HashCost[] {
  const spent = hash === undefined || verdict === 'unusable' ? 0 : (readHash(hash, argon2)?.share ?? 0)
  const perHash = relativeCostOf(cost, argon2.curve)
  const remaining = Math.max(0, Math.max(perHash, costliest) - spent) / perHash
  const whole = Math.floor(remaining)
  const rest = scaleCost(cost, remaining - whole, argon2.curve)
  return [...Array.from({ length: whole }, () => cost), ...(rest.memoryKib < smallestDecoyKib ? [] : [rest])]
}

/** Returns a hash that no password matches: its salt and its digest are random. */
function decoyHash({ memoryKib, timeCost }: HashCost): string {
  const field = (bytes: number) => randomBytes(bytes).toString('base64').replace(/=+$/, '')
  return `$argon2id$v=19$m=${memoryKib},t=${timeCost},p=1$${field(32)}$${field(32)}`
}
