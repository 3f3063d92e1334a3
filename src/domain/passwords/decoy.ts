import { randomBytes } from 'node:crypto'
import { type HashCost, relativeCostOf, scaleCost } from './hashCost.ts'
import { normalizePassword } from './normalize.ts'
import { readHash } from './readHash.ts'
import type { Verdict } from './verifyPassword.ts'

/** Less memory takes no measurable time. */
const smallestDecoyKib = 64

/**
 * Makes every rejected sign-in take as long as one hash of today's cost, so that response time
 * reveals neither unknown nor disabled users (OWASP ASVS 6.3.8). Verifies a decoy that takes the
 * time the verification did not.
 */
export async function equalizeCost(
  password: string,
  hash: string | undefined,
  verdict: Verdict,
  cost: HashCost,
): Promise<void> {
  const decoy = decoyCost(hash, verdict, cost)
  if (decoy === undefined) return
  await Bun.password.verify(normalizePassword(password), decoyHash(decoy))
}

/**
 * Returns the cost of the decoy: what verifying `hash` did not spend of `cost`. Undefined if nothing
 * is left, or too little to measure.
 */
export function decoyCost(hash: string | undefined, verdict: Verdict, cost: HashCost): HashCost | undefined {
  const spent = hash === undefined || verdict === 'unusable' ? 0 : (readHash(hash)?.share ?? 0)
  const remaining = 1 - spent / relativeCostOf(cost)
  if (remaining <= 0) return undefined
  const decoy = scaleCost(cost, remaining)
  return decoy.memoryKib < smallestDecoyKib ? undefined : decoy
}

/** Returns a hash that no password matches: its salt and its digest are random. */
function decoyHash({ memoryKib, timeCost }: HashCost): string {
  const field = (bytes: number) => randomBytes(bytes).toString('base64').replace(/=+$/, '')
  return `$argon2id$v=19$m=${memoryKib},t=${timeCost},p=1$${field(32)}$${field(32)}`
}
