import { type KeyObject, sign } from 'node:crypto'
import { algorithms, type PairAlgorithm } from '../../../src/algorithms.ts'
import { createAccessTokens } from '../../../src/http/tokens/accessTokens.ts'
import { pairKeyRing, secretVerifier } from './fixedKeyRing.ts'
import { claimsAt, secretKey } from './forgedTokens.ts'
import { createLibraryVerifier } from './libraryVerifier.ts'

export const pairAlgorithms = algorithms.filter((algorithm): algorithm is PairAlgorithm => algorithm !== 'HS256')
export const seconds = () => Math.floor(Date.now() / 1000)
export const goodClaims = () => claimsAt(seconds())

export const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')

/** Returns a correctly signed token over any header and claims. */
export function forgeWithKeyPair(
  algorithm: PairAlgorithm,
  privateKey: KeyObject,
  header: object,
  claims: object,
): string {
  const input = Buffer.from(`${encode(header)}.${encode(claims)}`)
  const key = algorithm === 'ES256' ? ({ key: privateKey, dsaEncoding: 'ieee-p1363' } as const) : privateKey
  return `${input}.${sign(algorithm === 'EdDSA' ? null : 'sha256', input, key).toString('base64url')}`
}

/** HS256 also verifies, as during a change of ALGORITHM: the worst case for confusing the two. */
export async function openKeyPair(algorithm: PairAlgorithm) {
  const { pair, keyRing } = await pairKeyRing(algorithm, secretVerifier(secretKey))
  const tokens = createAccessTokens({ keyRing, issuer: 'audittrail', audience: 'audittrail' }, Date.now)
  return { pair, tokens, verifyByLibrary: createLibraryVerifier(keyRing, Date.now) }
}

export const openedKeyPairs = Object.fromEntries(
  await Promise.all(pairAlgorithms.map(async (algorithm) => [algorithm, await openKeyPair(algorithm)] as const)),
) as Record<PairAlgorithm, Awaited<ReturnType<typeof openKeyPair>>>
