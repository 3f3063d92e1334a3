/**
 * The token or key that a request shows as a bearer (RFC 6750 §2.1; the scheme's name has no case, RFC 9110 §11.1). Empty for what
 * is no bearer; undefined where there is no such header.
 */
export function bearerToken({ headers }: Request): string | undefined {
  const authorization = headers.get('authorization')
  return authorization === null ? undefined : bearerOf(authorization)
}

function bearerOf(authorization: string): string {
  return /^Bearer +([^ ,]+)$/i.exec(authorization)?.[1] ?? ''
}

/**
 * The secret of a client that shows name and secret, each form-urlencoded beneath the base64 (RFC 6749 §2.3.1). Empty where it
 * cannot be read; undefined for another scheme.
 */
export function clientSecret({ headers }: Request): string | undefined {
  const encoded = /^Basic +(.*)$/is.exec(headers.get('authorization') ?? '')?.[1]
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
