import { type KnownHash, withoutSpareBits } from '../hashes/encoding.ts'
import { readThirdPartyHash, withoutPrefix } from '../hashes/formats.ts'
import { bcryptWork } from '../hashes/hashWork.ts'
import { type Argon2Verifier, argon2Work, bunArgon2, verifierFor } from './argon2.ts'
import { argon2ParametersOf, bcryptCostOf, isWithinLimits } from './hashLimits.ts'

/** bcrypt reads only 72 bytes. Bun hashes a longer password first; other programs cut it. */
export const bcryptBytes = 72

/**
 * Returns a stored hash ready to verify; undefined if its format is unknown or it exceeds the
 * limits.
 */
export function readHash(hash: string, argon2: Argon2Verifier = bunArgon2): KnownHash | undefined {
  const plain = withoutPrefix(hash)
  if (!isWithinLimits(plain)) return readThirdPartyHash(hash)
  const parameters = argon2ParametersOf(plain)
  if (parameters) {
    const verifier = verifierFor(plain, argon2)
    return {
      verify: (password) => verifier.verify(password, plain),
      work: argon2Work(parameters, verifier),
    }
  }
  return {
    verify: (password) => Bun.password.verify(cutForBcrypt(password), withoutSpareBits(plain)),
    work: bcryptWork(bcryptCostOf(plain) ?? 0),
  }
}

function cutForBcrypt(password: string): Buffer {
  return Buffer.from(password).subarray(0, bcryptBytes)
}
