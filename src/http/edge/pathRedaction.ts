/** Longest name of a segment in the log; ids of ours have 36 characters, tokens and keys more than forty. */
const longestSegment = 40
const longestPath = 200

/**
 * A request's path for the log, short and plain. Somebody sends a token or a password where it does not belong, in a path or
 * behind an escaped question mark; what does not look like a part of a path (letters, digits, `.`, `_`, `~`, `-`; nothing long,
 * nothing that begins like a token) is left out.
 */
export function redactPath(path: string): string {
  const shown = path.slice(0, 4096).split('/').map(shownSegment).join('/')
  return shown.length > longestPath ? `${shown.slice(0, longestPath)}[cut]` : shown
}

function shownSegment(segment: string): string {
  const isPlain = /^[A-Za-z0-9._~-]*$/.test(segment) && segment.length <= longestSegment
  return isPlain && !/eyJ|^at[rk]_/i.test(segment) ? segment : '[left-out]'
}
