/** Signing algorithms for tokens (RFC 7518 §3.1, RFC 8037 §3.1). */
export const algorithms = ['HS256', 'EdDSA', 'ES256', 'RS256'] as const
export type Algorithm = (typeof algorithms)[number]

/** Algorithms with a private and a published key. HS256 signs with SECRET_KEY itself. */
export type PairAlgorithm = Exclude<Algorithm, 'HS256'>
