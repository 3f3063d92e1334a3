import { bunCurve, type CostCurve } from './hashCost.ts'

/** Verifies argon2 hashes, in the thread pool. */
export interface Argon2Verifier {
  readonly name: 'native' | 'bun'
  readonly curve: CostCurve
  /** Throws if the algorithm rejects the hash. */
  verify(password: string, hash: string): Promise<boolean>
}

export const bunArgon2: Argon2Verifier = {
  name: 'bun',
  curve: bunCurve,
  verify: (password, hash) => Bun.password.verify(password, hash),
}

/** Without leading zeros, which the addon rejects, and with a salt and a digest of 8 to 64 bytes. */
const standardFormat =
  /^\$argon2(?:id|i|d)\$v=19\$m=[1-9]\d*,t=[1-9]\d*,p=[1-9]\d*\$[A-Za-z0-9+/]{11,86}\$[A-Za-z0-9+/]{11,86}$/

/** Returns the verifier for a hash within our limits: `Bun.password` unless the format is standard. */
export function verifierFor(hash: string, argon2: Argon2Verifier): Argon2Verifier {
  return standardFormat.test(hash) ? argon2 : bunArgon2
}
