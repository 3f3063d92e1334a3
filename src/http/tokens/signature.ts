import { type KeyObject, verify } from 'node:crypto'
import type { Verifier } from '../../domain/keys/loadedKeys.ts'
import { type CompactJws, isSignedWithHs256 } from './compactJws.ts'

/**
 * Returns whether the key made the signature. The key determines the algorithm, never the token.
 * Synchronous, because WebCrypto queues behind password hashes.
 */
export function isSignedBy(jws: CompactJws, verifier: Verifier): boolean {
  switch (verifier.algorithm) {
    case 'HS256':
      return verifier.secrets.some((secret) => isSignedWithHs256(jws, secret))
    case 'EdDSA':
      return jws.signature.length === 64 && verify(null, input(jws), verifier.publicKey, jws.signature)
    case 'ES256':
      // r and s concatenated (RFC 7518 §3.4), not DER.
      return jws.signature.length === 64 && verify('sha256', input(jws), rawEcdsa(verifier.publicKey), jws.signature)
    case 'RS256':
      return (
        jws.signature.length * 8 === verifier.publicKey.asymmetricKeyDetails?.modulusLength &&
        verify('sha256', input(jws), verifier.publicKey, jws.signature)
      )
  }
}

function input({ signingInput }: CompactJws): Buffer {
  return Buffer.from(signingInput)
}

function rawEcdsa(key: KeyObject) {
  return { key, dsaEncoding: 'ieee-p1363' } as const
}
