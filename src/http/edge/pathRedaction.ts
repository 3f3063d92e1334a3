/** UUIDs have 36 characters; tokens and keys have more than 40. */
const maxSegmentLength = 40
const maxPathLength = 200

/**
 * Returns a path for the log. Clients put tokens and passwords into paths by mistake, so a segment
 * is replaced unless it is short, plain and unlike a token.
 */
export function redactPath(path: string): string {
  const redacted = path.slice(0, 4096).split('/').map(redactSegment).join('/')
  return redacted.length > maxPathLength ? `${redacted.slice(0, maxPathLength)}[cut]` : redacted
}

function redactSegment(segment: string): string {
  const isPlain = /^[A-Za-z0-9._~-]*$/.test(segment) && segment.length <= maxSegmentLength
  return isPlain && !/eyJ|^at[rk]_/i.test(segment) ? segment : '[left-out]'
}
