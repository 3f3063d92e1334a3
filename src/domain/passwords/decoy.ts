import type { HashWork } from '../hashes/hashWork.ts'
import type { Argon2Verifier } from './argon2.ts'
import { readHash } from './readHash.ts'
import type { Verdict } from './verifyPassword.ts'

/**
 * Makes every rejected sign-in do the same work, so that response time reveals neither unknown nor
 * disabled users (OWASP ASVS 6.3.8). Computes the part of `required` that the verification did not.
 */
export async function equalizeWork(
  hash: string | undefined,
  verdict: Verdict,
  required: readonly HashWork[],
  argon2: Argon2Verifier,
  reportFailure: (error: unknown) => void,
): Promise<void> {
  const done = hash === undefined || verdict === 'unusable' ? undefined : readHash(hash, argon2)?.work
  for (const { kind, amount, spend } of required) {
    const missing = amount - (done?.kind === kind ? done.amount : 0)
    // A decoy that fails must not keep the failed sign-in from being counted.
    if (missing > 0) await spend(missing).catch(reportFailure)
  }
}
