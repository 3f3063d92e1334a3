import { bcryptShare, type KnownHash, withoutSpareBits } from '../hashes/encoding.ts'
import { readThirdPartyHash, withoutPrefix } from '../hashes/formats.ts'
import { relativeCostOf } from './hashCost.ts'
import { argon2ParametersOf, bcryptCostOf, isWithinLimits } from './hashLimits.ts'

/** bcrypt reads only 72 bytes. Bun hashes a longer password first; other programs cut it. */
export const bcryptBytes = 72

/**
 * Returns a stored hash ready to verify; undefined if its format is unknown or it exceeds the
 * limits.
 */
export function readHash(hash: string): KnownHash | undefined {
  const plain = withoutPrefix(hash)
  if (!isWithinLimits(plain)) return readThirdPartyHash(hash)
  const argon2 = argon2ParametersOf(plain)
  return {
    verify: (password) =>
      argon2
        ? Bun.password.verify(password, plain)
        : Bun.password.verify(cutForBcrypt(password), withoutSpareBits(plain)),
    share: argon2 ? relativeCostOf(argon2) : bcryptShare(bcryptCostOf(plain) ?? 0),
    memory: (argon2?.memoryKib ?? 0) * 1024,
  }
}

function cutForBcrypt(password: string): Buffer {
  return Buffer.from(password).subarray(0, bcryptBytes)
}
