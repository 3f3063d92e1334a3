import { isWithin, type Upstream } from './site.ts'

/** For a condition in `server`: AuditTrail and browsers read a backslash as a slash. */
export const unsafeInAnyPath = String.raw`[\\\\\x00-\x1f\x7f]`

const control = '(?:[01][0-9a-f]|7f)'
/** A dot segment with at least one escape, up to the end of its name. */
const encodedDotSegment = String.raw`/(?:%2e(?:\.|%2e)?|\.%2e)(?:[/?#;]|%3b|\z)`
/** Overlong UTF-8, which some decoders read as ASCII, and the control characters U+0080 to U+009F. */
const overlong = String.raw`[\xc0\xc1][\x80-\xbf]|\xe0[\x80-\x9f][\x80-\xbf]|\xf0[\x80-\x8f][\x80-\xbf]|\xc2[\x80-\x9f]`
/** In a path that is decoded already: `.`, `/`, `;`, `\` or a control character, escaped again. */
const encodedTwice = `%(?:25)*(?:2[ef]|3b|5c|${control}|u[0-9a-f]{4})`

/** Matches `$request_uri`. */
export const encoded = `~*^[^?#]*(?:%(?:2f|5c|${control})|${encodedDotSegment})`
/** Match `$uri`, in which only path parameters, backslashes and control characters are left. */
export const ambiguous = `~*;|${unsafeInAnyPath}|//|${overlong}|${encodedTwice}`
export const ambiguousExceptParameters = `~*${unsafeInAnyPath}|//|/\\.{1,2};|${overlong}|${encodedTwice}`

/**
 * Returns conditions that reject paths in a location that a service may route to an inner one with
 * another rule: many routers ignore case, a suffix, or a dot or space at the end of a segment.
 */
export function lookalikeChecks(outer: Upstream, upstreams: readonly Upstream[]): string {
  const inner = upstreams.filter((upstream) => isWithin(upstream, outer))
  if (inner.length === 0) return ''
  const patterns = ['%[0-9a-f]{2}', ...inner.map(({ path }) => lookalikesOf(path))]
  const checks = patterns.map((pattern) => rejectIf(`$uri ~* "${pattern}"`)).join('')
  return `    # Other ways to write ${inner.map(({ path }) => path).join(', ')}.\n${checks}`
}

/** Characters that some routers fold to ASCII: the long s, dotless i, Kelvin sign, full width. */
const folded = String.raw`\xc5\xbf|\xc4[\xb0\xb1]|\xe2\x84\xaa|\xef\xbc[\x81-\xbf]|\xef\xbd[\x80-\x9e]`

function lookalikesOf(path: string): string {
  const segments = path.split('/').slice(1)
  const patterns = segments.map((segment) =>
    [...segment].map((character) => `(?:${character.replace('.', '\\.')}|(?1))`).join(''),
  )
  return `(?(DEFINE)(${folded}))^(?:/|(?1))+ *${patterns.join('[. ]*(?:/|(?1))+ *')}(?![a-z0-9_-])`
}

export function rejectIf(condition: string): string {
  return `    if (${condition}) {
      return 404;
    }
`
}
