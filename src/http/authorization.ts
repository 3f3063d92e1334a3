/** RFC 6750 §2.1; the scheme's name has no case (RFC 9110 §11.1). What is no bearer token comes out as no token at all. */
export function bearerToken(authorization: string): string {
  return /^Bearer +([^ ,]+)$/i.exec(authorization)?.[1] ?? ''
}

/**
 * The secret of a client that shows name and secret, each form-urlencoded beneath the base64 (RFC 6749 §2.3.1). Empty where it
 * cannot be read; undefined for another scheme.
 */
export function basicSecret(authorization: string): string | undefined {
  const encoded = /^Basic +(.*)$/is.exec(authorization)?.[1]
  if (encoded === undefined) return undefined
  // Node's decoder leaves out what is no base64, the comma and the second of two headers with it.
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(encoded)) return ''
  const [, secret = ''] = /^[^:]*:(.*)$/s.exec(Buffer.from(encoded, 'base64').toString()) ?? []
  try {
    return decodeURIComponent(secret)
  } catch {
    return ''
  }
}
