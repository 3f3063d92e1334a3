import { createHmac } from 'node:crypto'

type Json = Readonly<Record<string, unknown>>

/** The contents of a token, decoded without verification. */
export interface TokenParts {
  readonly header: Json
  readonly claims: Json
}

export function readToken(token: string): TokenParts {
  const [header, claims] = token.split('.').map((part) => Buffer.from(part, 'base64url').toString())
  return { header: JSON.parse(header ?? ''), claims: JSON.parse(claims ?? '') }
}

export const base64url = (value: string | Buffer) => Buffer.from(value as string).toString('base64url')

/** Signs a signing input. Returns the signature's bytes. */
export type Signer = (signingInput: string) => Buffer

export const hmac =
  (key: string | Buffer, hash: 'sha256' | 'sha384' | 'sha512' = 'sha256'): Signer =>
  (input) =>
    createHmac(hash, key).update(input).digest()

/** Returns a token over two raw texts, so that a text need not be valid JSON. */
export function tokenOf(header: string | Buffer, claims: string | Buffer, sign: Signer): string {
  return signed(`${base64url(header)}.${base64url(claims)}`, sign)
}

/** Returns a token whose signing input is raw text. */
export function signed(signingInput: string, sign: Signer): string {
  return `${signingInput}.${sign(signingInput).toString('base64url')}`
}

/**
 * The material for a forgery: a decoded valid token, a second valid token, and the key, as if it
 * had leaked.
 */
export interface Workshop extends TokenParts {
  readonly token: string
  readonly other: string
  readonly secretKey: string
}

export type Vector = readonly [what: string, forge: (workshop: Workshop) => string]

/** Rebuilds the valid token with the tools of these attacks. */
export function again({ header, claims, secretKey }: Workshop): string {
  return tokenOf(JSON.stringify(header), JSON.stringify(claims), hmac(secretKey))
}

/** Returns a valid token of exactly this many characters. */
export function longToken({ header, claims, secretKey }: Workshop, length: number): string {
  const fill = (pad: number, extra: string) =>
    tokenOf(JSON.stringify(header), JSON.stringify({ ...claims, pad: 'a'.repeat(pad), [extra]: 0 }), hmac(secretKey))
  // Base64 grows by four characters for three bytes. Another member shifts the remainder.
  for (const extra of ['a', 'ab', 'abc', 'abcd']) {
    const at = length - fill(0, extra).length
    for (let pad = Math.max(0, Math.floor(at * 0.75) - 4); pad < at * 0.75 + 4; pad++) {
      const token = fill(pad, extra)
      if (token.length === length) return token
    }
  }
  throw new Error(`no token has ${length} characters`)
}

/** A valid signature over a header with these members replaced. */
export const withHeader =
  (change: object, signer?: Signer): Vector[1] =>
  ({ header, claims, secretKey }) =>
    tokenOf(JSON.stringify({ ...header, ...change }), JSON.stringify(claims), signer ?? hmac(secretKey))

/** A valid signature over claims with these members replaced. */
export const withClaims =
  (change: object): Vector[1] =>
  ({ header, claims, secretKey }) =>
    tokenOf(JSON.stringify(header), JSON.stringify({ ...claims, ...change }), hmac(secretKey))

/** A valid signature over raw claims text. */
export const withClaimsText =
  (change: (text: string, workshop: Workshop) => string | Buffer): Vector[1] =>
  (workshop) =>
    tokenOf(
      JSON.stringify(workshop.header),
      change(JSON.stringify(workshop.claims), workshop),
      hmac(workshop.secretKey),
    )
