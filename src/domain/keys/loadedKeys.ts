import type { KeyObject } from 'node:crypto'
import { algorithms, type PairAlgorithm } from '../../algorithms.ts'
import type { SigningKeyRow, StoredSigningKeys } from '../../db/statements/signingKeys.ts'
import { findSecretKey, type SecretKeys } from '../../secretKeys.ts'
import type { Deps } from '../deps.ts'
import { decryptPrivateKey } from './keyCipher.ts'
import { type PublicJwk, readPublicKey } from './keyPair.ts'

/** Verifies HMACs with SECRET_KEY, and with the previous ones while it is being changed. */
export interface SecretVerifier {
  readonly algorithm: 'HS256'
  readonly kid: undefined
  readonly secrets: readonly Buffer[]
  /** Epoch milliseconds. Infinity while no end is known. */
  readonly verifiesUntil: number
}

export interface PairVerifier {
  readonly algorithm: PairAlgorithm
  readonly kid: string
  readonly publicKey: KeyObject
  readonly publicJwk: PublicJwk
  readonly verifiesUntil: number
}

export type Verifier = SecretVerifier | PairVerifier

export type Signer =
  | { readonly algorithm: 'HS256'; readonly kid: undefined; readonly key: string }
  | { readonly algorithm: PairAlgorithm; readonly kid: string; readonly key: KeyObject }

export interface LoadedKey {
  readonly verifier: Verifier
  /** Undefined if its private key is encrypted under an unknown SECRET_KEY. */
  readonly signer: Signer | undefined
  readonly signsFrom: number
}

/**
 * Reads the stored keys. Keys in `known` are kept, so that nothing is decrypted twice, or lost when
 * SECRET_KEY changes elsewhere.
 */
export function loadKeys(
  { settings, log }: Deps,
  { fingerprint, rows }: StoredSigningKeys,
  known: readonly LoadedKey[],
): LoadedKey[] {
  const secretKeys = settings.keys.secretKeys()
  const encryptedUnder = fingerprint === null ? undefined : findSecretKey(secretKeys, fingerprint)
  return rows.flatMap((row) => {
    const signsFrom = row.signs_from.getTime()
    const verifiesUntil = row.verifies_until?.getTime() ?? Number.POSITIVE_INFINITY
    if (row.algorithm === 'HS256') return { ...loadSecretKey(secretKeys, verifiesUntil), signsFrom }
    const before = known.find(({ verifier }) => verifier.kid === row.kid)
    const signer = before ? before.signer : pairSigner(row, encryptedUnder)
    if (!before && !signer) log.error('key.unusable', { kid: row.kid, detail: 'the private key cannot be decrypted' })
    const verifier = pairVerifier(row, before?.verifier, verifiesUntil)
    return verifier ? { verifier, signer, signsFrom } : []
  })
}

function loadSecretKey(
  { current, previous }: SecretKeys,
  verifiesUntil: number,
): Pick<LoadedKey, 'verifier' | 'signer'> {
  const secrets = [current, ...previous].map((text) => Buffer.from(text))
  return {
    verifier: { algorithm: 'HS256', kid: undefined, secrets, verifiesUntil },
    signer: { algorithm: 'HS256', kid: undefined, key: current },
  }
}

/** Returns undefined for an algorithm of a newer version. */
function pairVerifier(
  row: SigningKeyRow,
  before: Verifier | undefined,
  verifiesUntil: number,
): PairVerifier | undefined {
  const algorithm = pairAlgorithm(row)
  if (algorithm === undefined || row.kid === null || row.public_key === null) return undefined
  if (before?.kid !== undefined) return { ...before, verifiesUntil }
  const publicJwk = JSON.parse(row.public_key) as PublicJwk
  return { algorithm, kid: row.kid, publicKey: readPublicKey(publicJwk), publicJwk, verifiesUntil }
}

function pairSigner({ kid, private_key, ...row }: SigningKeyRow, secretKey: string | undefined): Signer | undefined {
  const algorithm = pairAlgorithm(row)
  if (algorithm === undefined || kid === null || private_key === null || secretKey === undefined) return undefined
  const key = decryptPrivateKey(private_key, { kid, algorithm }, secretKey)
  return key && { algorithm, kid, key }
}

function pairAlgorithm({ algorithm }: Pick<SigningKeyRow, 'algorithm'>): PairAlgorithm | undefined {
  return algorithms.find((known): known is PairAlgorithm => known === algorithm && known !== 'HS256')
}
