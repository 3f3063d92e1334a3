import type { SigningKeyRow } from '../../db/statements/signingKeys.ts'
import type { Deps } from '../deps.ts'

/**
 * published: signs next. verifying: has signed, and its tokens may still be valid. retired: none of
 * them is.
 */
export type KeyState = 'published' | 'signing' | 'verifying' | 'retired'

/** The public facts of a key. Times are ISO 8601. */
export interface PresentedKey {
  /** Null for HS256, whose key is SECRET_KEY. */
  readonly kid: string | null
  /** For HS256, the first digits of SECRET_KEY's fingerprint: enough to tell two keys apart. */
  readonly fingerprint: string | null
  readonly algorithm: string
  readonly state: KeyState
  readonly created_at: string
  readonly signs_from: string
  /** Null while no end is known. */
  readonly verifies_until: string | null
}

const fingerprintDigits = 12

/** Lists the keys, newest first. */
export async function listKeys({ database, clock }: Deps, _input: object): Promise<readonly PresentedKey[]> {
  const { fingerprint, rows } = await database.signingKeys.listKeys()
  const now = clock()
  const signing = rows.findLast((row) => row.signs_from.getTime() <= now) ?? rows[0]
  return rows.toReversed().map((row) => ({
    kid: row.kid,
    fingerprint: row.kid === null ? (fingerprint?.slice(0, fingerprintDigits) ?? null) : null,
    algorithm: row.algorithm,
    state: stateOf(row, signing?.generation ?? 0, now),
    created_at: row.created_at.toISOString(),
    signs_from: row.signs_from.toISOString(),
    verifies_until: row.verifies_until?.toISOString() ?? null,
  }))
}

function stateOf({ generation, verifies_until: until }: SigningKeyRow, signing: number, now: number): KeyState {
  if (generation === signing) return 'signing'
  if (generation > signing) return 'published'
  return until !== null && until.getTime() <= now ? 'retired' : 'verifying'
}
