import type { PairAlgorithm } from '../../../src/algorithms.ts'
import { createKeyPair, type KeyPair, readPublicKey } from '../../../src/domain/keys/keyPair.ts'
import type { Signer, Verifier } from '../../../src/domain/keys/loadedKeys.ts'
import type { AccessTokenSettings } from '../../../src/http/tokens/accessTokens.ts'

export type FixedKeyRing = AccessTokenSettings['keyRing']

/** A key ring whose keys never change. */
export function fixedKeyRing(signer: Signer, verifiers: readonly Verifier[]): FixedKeyRing {
  return {
    version: () => 1,
    findVerifier: (kid) => verifiers.find((verifier) => verifier.kid === kid),
    requireSigner: async () => signer,
    refreshIfStale: async () => {},
  }
}

/** HS256 with SECRET_KEY. */
export function secretKeyRing(secretKey: string): FixedKeyRing {
  const verifier = secretVerifier(secretKey)
  return fixedKeyRing({ algorithm: 'HS256', kid: undefined, key: secretKey }, [verifier])
}

export function secretVerifier(secretKey: string): Verifier {
  return {
    algorithm: 'HS256',
    kid: undefined,
    secrets: [Buffer.from(secretKey)],
    verifiesUntil: Number.POSITIVE_INFINITY,
  }
}

/** A key pair that signs, and other keys that only verify. */
export async function pairKeyRing(
  algorithm: PairAlgorithm,
  ...others: readonly Verifier[]
): Promise<{ pair: KeyPair; keyRing: FixedKeyRing }> {
  const pair = await createKeyPair(algorithm)
  const { kid, publicJwk, privateKey } = pair
  const publicKey = readPublicKey(publicJwk)
  const verifier = { algorithm, kid, publicKey, publicJwk, verifiesUntil: Number.POSITIVE_INFINITY }
  return { pair, keyRing: fixedKeyRing({ algorithm, kid, key: privateKey }, [...others, verifier]) }
}
