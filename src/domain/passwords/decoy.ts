import type { HashWork } from '../hashes/hashWork.ts'
import type { Argon2Verifier } from './argon2.ts'
import { readHash } from './readHash.ts'
import type { Verdict } from './verifyPassword.ts'

export interface Decoys {
  /** Called after each decoy. */
  free(computed: HashWork): void
  reportFailure(error: unknown): void
}

/**
 * Makes every rejected sign-in do the same work, so that response time reveals neither unknown nor
 * disabled users (OWASP ASVS 6.3.8). Computes the part of `required` that the verification did not.
 */
export async function equalizeWork(
  hash: string | undefined,
  verdict: Verdict,
  required: readonly HashWork[],
  argon2: Argon2Verifier,
  { free, reportFailure }: Decoys,
): Promise<void> {
  const done = hash === undefined || verdict === 'unusable' ? undefined : readHash(hash, argon2)?.work
  for (const work of required) {
    const missing = work.amount - (done?.kind === work.kind ? done.amount : 0)
    if (missing <= 0) continue
    // A decoy that fails must not keep the failed sign-in from being counted.
    await work.spend(missing).catch(reportFailure)
    free(work)
  }
}
