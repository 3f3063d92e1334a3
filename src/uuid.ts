const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

/** Returns whether a text is a UUID in its usual format (RFC 9562 §4), in any case. */
export function isUuid(text: string): boolean {
  return uuid.test(text)
}
