import { createHmac } from 'node:crypto'

type Json = Readonly<Record<string, unknown>>

/** What a token says, read without asking whether it is good. */
export interface TokenParts {
  readonly header: Json
  readonly claims: Json
}

export function readToken(token: string): TokenParts {
  const [header, claims] = token.split('.').map((part) => Buffer.from(part, 'base64url').toString())
  return { header: JSON.parse(header ?? ''), claims: JSON.parse(claims ?? '') }
}

export const base64url = (value: string | Buffer) => Buffer.from(value as string).toString('base64url')

/** Signs a signing input; answers the signature's bytes. */
export type Signer = (signingInput: string) => Buffer

export const hmac =
  (key: string | Buffer, hash: 'sha256' | 'sha384' | 'sha512' = 'sha256'): Signer =>
  (input) =>
    createHmac(hash, key).update(input).digest()

/** A token over two texts as they stand, so that a text may be any JSON or none. */
export function tokenOf(header: string | Buffer, claims: string | Buffer, sign: Signer): string {
  return signed(`${base64url(header)}.${base64url(claims)}`, sign)
}

/** A token whose signing input is written by hand. */
export function signed(signingInput: string, sign: Signer): string {
  return `${signingInput}.${sign(signingInput).toString('base64url')}`
}

/** What an attack is made from: a good token taken apart, another good one, and the key, as if it were known. */
export interface Workshop extends TokenParts {
  readonly token: string
  readonly other: string
  readonly secretKey: string
}

export type Vector = readonly [what: string, forge: (workshop: Workshop) => string]

/** The good token, made anew by the means of these attacks. */
export function again({ header, claims, secretKey }: Workshop): string {
  return tokenOf(JSON.stringify(header), JSON.stringify(claims), hmac(secretKey))
}

/** A good token of exactly so many characters. */
export function longToken({ header, claims, secretKey }: Workshop, length: number): string {
  const fill = (pad: number, extra: string) =>
    tokenOf(JSON.stringify(header), JSON.stringify({ ...claims, pad: 'a'.repeat(pad), [extra]: 0 }), hmac(secretKey))
  // Base64 grows by four characters for three bytes, or by two or three at its end; another member shifts where that is.
  for (const extra of ['a', 'ab', 'abc', 'abcd']) {
    const at = length - fill(0, extra).length
    for (let pad = Math.max(0, Math.floor(at * 0.75) - 4); pad < at * 0.75 + 4; pad++) {
      const token = fill(pad, extra)
      if (token.length === length) return token
    }
  }
  throw new Error(`no token has ${length} characters`)
}

/** Rightly signed, with these members of the header instead. */
export const withHeader =
  (change: object, signer?: Signer): Vector[1] =>
  ({ header, claims, secretKey }) =>
    tokenOf(JSON.stringify({ ...header, ...change }), JSON.stringify(claims), signer ?? hmac(secretKey))

/** Rightly signed, with these members of the claims instead. */
export const withClaims =
  (change: object): Vector[1] =>
  ({ header, claims, secretKey }) =>
    tokenOf(JSON.stringify(header), JSON.stringify({ ...claims, ...change }), hmac(secretKey))

/** Rightly signed over a text of claims that is written by hand. */
export const withClaimsText =
  (change: (text: string, workshop: Workshop) => string | Buffer): Vector[1] =>
  (workshop) =>
    tokenOf(
      JSON.stringify(workshop.header),
      change(JSON.stringify(workshop.claims), workshop),
      hmac(workshop.secretKey),
    )
