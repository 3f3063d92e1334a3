/**
 * Returns the bearer token or API key of a request (RFC 6750 §2.1; schemes are not case-sensitive,
 * RFC 9110 §11.1). Empty for another scheme; undefined without an Authorization header.
 */
export function bearerToken({ headers }: Request): string | undefined {
  const authorization = headers.get('authorization')
  return authorization === null ? undefined : bearerOf(authorization)
}

/** Returns whether a request has a credential of ours, even a malformed one. */
export function hasBearer({ headers }: Request): boolean {
  const authorization = headers.get('authorization')
  return authorization !== null && /^Bearer(?![\w-])/i.test(authorization)
}

function bearerOf(authorization: string): string {
  const rest = authorization.slice('Bearer '.length)
  // The usual form, without the cost of the expression.
  if (authorization.startsWith('Bearer ') && !rest.includes(' ') && !rest.includes(',')) return rest
  return /^Bearer +([^ ,]+)$/i.exec(authorization)?.[1] ?? ''
}

/**
 * Returns the client secret of HTTP Basic, where id and secret are form-urlencoded inside the
 * base64 (RFC 6749 §2.3.1). Empty if it is malformed; undefined for another scheme.
 */
export function clientSecret({ headers }: Request): string | undefined {
  const encoded = /^Basic +(.*)$/is.exec(headers.get('authorization') ?? '')?.[1]
  if (encoded === undefined) return undefined
  // Node's decoder skips invalid characters, and so would accept two joined headers.
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(encoded)) return ''
  const [, secret = ''] = /^[^:]*:(.*)$/s.exec(Buffer.from(encoded, 'base64').toString()) ?? []
  try {
    return decodeURIComponent(secret)
  } catch {
    return ''
  }
}
