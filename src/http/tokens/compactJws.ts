import { createHmac, timingSafeEqual } from 'node:crypto'

/** A parsed token. Do not trust any of it before the signature is verified. */
export interface CompactJws {
  readonly header: Readonly<Record<string, unknown>>
  readonly claims: Readonly<Record<string, unknown>>
  /** The signed text: header and payload as received. */
  readonly signingInput: string
  readonly signature: Buffer
}

const maxTokenLength = 4096
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * Parses a JWS in compact serialization (RFC 7515 §7.1). Returns undefined unless it is in the
 * canonical form of JSON.stringify and unpadded base64url, so that each token has exactly one text.
 */
export function parseCompactJws(token: string): CompactJws | undefined {
  if (token.length > maxTokenLength) return undefined
  const [protectedHeader, payload, signature, ...rest] = token.split('.')
  if (protectedHeader === undefined || payload === undefined || signature === undefined || rest.length > 0)
    return undefined
  const header = parseSegment(protectedHeader)
  const claims = header && parseSegment(payload)
  const bytes = claims && decodeSegment(signature)
  if (!header || !claims || !bytes) return undefined
  return { header, claims, signingInput: `${protectedHeader}.${payload}`, signature: bytes }
}

function parseSegment(segment: string): Record<string, unknown> | undefined {
  try {
    const text = utf8.decode(decodeSegment(segment))
    const value: unknown = JSON.parse(text)
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
    return isObject && JSON.stringify(value) === text ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}

function decodeSegment(segment: string): Buffer | undefined {
  const bytes = Buffer.from(segment, 'base64url')
  return bytes.length > 0 && bytes.toString('base64url') === segment ? bytes : undefined
}

/** HMAC-SHA-256 over the signing input (RFC 7518 §3.2), compared in constant time. */
export function isSignedWithHs256({ signingInput, signature }: CompactJws, key: Buffer): boolean {
  const expected = createHmac('sha256', key).update(signingInput).digest()
  return signature.length === expected.length && timingSafeEqual(signature, expected)
}

/** Returns the token. Synchronous: WebCrypto would queue behind password hashes. */
export function signWithHs256(header: CompactJws['header'], claims: CompactJws['claims'], key: string): string {
  const segment = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const signingInput = `${segment(header)}.${segment(claims)}`
  return `${signingInput}.${createHmac('sha256', key).update(signingInput).digest('base64url')}`
}
