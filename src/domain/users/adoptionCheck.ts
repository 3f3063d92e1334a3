import type { Inspection } from '../../db/migrations/inspection.ts'
import type { Deps } from '../deps.ts'
import { unsupportedHashName } from '../hashes/unsupported.ts'
import { readHash } from '../passwords/readHash.ts'

export interface AdoptionCheck extends Inspection {
  /** Password hashes that a sign-in can verify. */
  readonly verifiable: number
  /** How many others there are, by what they are. */
  readonly unverifiable: ReadonlyMap<string, number>
}

/** Reports what adopting the database would do, and what is in the way. Changes nothing. */
export async function checkAdoption({ database }: Pick<Deps, 'database'>): Promise<AdoptionCheck> {
  let verifiable = 0
  const unverifiable = new Map<string, number>()
  const inspection = await database.inspect((hashes) => {
    for (const hash of hashes) {
      if (readHash(hash)) verifiable++
      else unverifiable.set(kindOf(hash), (unverifiable.get(kindOf(hash)) ?? 0) + 1)
    }
  })
  return { ...inspection, verifiable, unverifiable }
}

/** Django and others mark an account without a password by `!` or `*`. */
function kindOf(hash: string): string {
  return /^[!*]|^$/.test(hash) ? 'no password' : unsupportedHashName(hash)
}
