/** How tokens are signed (RFC 7518 §3.1, RFC 8037 §3.1). */
export const algorithms = ['HS256', 'EdDSA', 'ES256', 'RS256'] as const
export type Algorithm = (typeof algorithms)[number]

/** Those that sign with a private key and publish another one. HS256 signs with SECRET_KEY itself. */
export type PairAlgorithm = Exclude<Algorithm, 'HS256'>
