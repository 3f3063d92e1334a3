import type { HashWork } from '../hashes/hashWork.ts'
import { type Argon2Verifier, bunArgon2 } from './argon2.ts'
import { normalizePassword } from './normalize.ts'
import { readHash } from './readHash.ts'

/**
 * `unusable`: there is no hash, its format is unknown, or it is too costly. Nothing was computed.
 */
export type Verdict = 'right' | 'wrong' | 'unusable'

/**
 * Verifies a password against a stored hash, if that takes at most `memory` bytes, and then calls
 * `free`. Before rejecting a sign-in, call `equalizeWork` with the verdict.
 */
export async function verifyPassword(
  password: string,
  hash: string | undefined,
  memory = Number.POSITIVE_INFINITY,
  argon2: Argon2Verifier = bunArgon2,
  free: (computed: HashWork) => void = () => {},
): Promise<Verdict> {
  const known = hash === undefined ? undefined : readHash(hash, argon2)
  if (!known || known.work.memory > memory) return 'unusable'
  try {
    const isRight = await known.verify(normalizePassword(password))
    free(known.work)
    return isRight ? 'right' : 'wrong'
  } catch {
    // The text has the format of a hash, but the algorithm rejects it.
    return 'unusable'
  }
}
