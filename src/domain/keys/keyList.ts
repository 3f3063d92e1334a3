import type { SigningKeyRow } from '../../db/statements/signingKeys.ts'
import type { Deps } from '../deps.ts'

/** published: to sign next. verifying: it has signed, and its tokens may still live. retired: none of them does. */
export type KeyState = 'published' | 'signing' | 'verifying' | 'retired'

/** What of a key leaves the product: nothing private. Times are ISO 8601. */
export interface PresentedKey {
  /** Null for HS256, whose key is SECRET_KEY. */
  readonly kid: string | null
  /** The first digits of SECRET_KEY's fingerprint, for HS256 alone: enough to tell two apart. */
  readonly fingerprint: string | null
  readonly algorithm: string
  readonly state: KeyState
  readonly created_at: string
  readonly signs_from: string
  /** Null while no end is known. */
  readonly verifies_until: string | null
}

const shownDigits = 12

/** The keys, the newest first. */
export async function listKeys({ database, clock }: Deps, _input: object): Promise<readonly PresentedKey[]> {
  const { fingerprint, rows } = await database.signingKeys.listKeys()
  const now = clock()
  const signing = rows.findLast((row) => row.signs_from.getTime() <= now) ?? rows[0]
  return rows.toReversed().map((row) => ({
    kid: row.kid,
    fingerprint: row.kid === null ? (fingerprint?.slice(0, shownDigits) ?? null) : null,
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
