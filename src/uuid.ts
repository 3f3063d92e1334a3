const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

/** Whether a text is a UUID in its usual spelling (RFC 9562 §4), in whatever case. */
export function isUuid(text: string): boolean {
  return uuid.test(text)
}
