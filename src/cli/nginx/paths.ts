import { isWithin, type Upstream } from './site.ts'

/** For every path: AuditTrail and browsers read a backslash as a slash. See docs/decisions/0020. */
export const unsafeInAnyPath = String.raw`[\\\\\x00-\x1f\x7f]`

/** A path with a hidden file or directory. */
export const isHidden = String.raw`/\.(?!well-known/)`

const control = '(?:[01][0-9a-f]|7f)'
/** A dot segment with at least one escape, up to the end of its name. */
const encodedDotSegment = String.raw`/(?:%2e(?:\.|%2e)?|\.%2e)(?:[/?#;]|%3b|\z)`
/** Bytes that are not UTF-8, which some decoders drop or read as ASCII. */
const notUtf8 = [
  String.raw`[\xc0\xc1\xf5-\xff]|\xe0[\x80-\x9f]|\xed[\xa0-\xbf]|\xf0[\x80-\x8f]|\xf4[\x90-\xbf]`,
  String.raw`[\xc2-\xdf](?![\x80-\xbf])|[\xe0-\xef](?![\x80-\xbf]{2})|[\xf0-\xf4](?![\x80-\xbf]{3})`,
  String.raw`(?<![\xc2-\xf4])(?<![\xe0-\xf4][\x80-\xbf])(?<![\xf0-\xf4][\x80-\xbf]{2})[\x80-\xbf]`,
].join('|')
/** The characters U+0080 to U+009F. */
const wideControl = String.raw`\xc2[\x80-\x9f]`
/** In a path that is decoded already: `.`, `/`, `;`, `\` or a control character, escaped again. */
const encodedTwice = `%(?:25)*(?:2[ef]|3b|5c|${control}|u[0-9a-f]{4})`

/** Characters that some services turn into ASCII (NFKC, Windows code pages). */
const slash = String.raw`(?:/|\xef\xbc[\x8f\xbc]|\xef\xb9\xa8)`
const dots = String.raw`(?:(?:\.|\xef\xbc\x8e|\xef\xb9\x92|\xe2\x80\xa4){1,2}|\xe2\x80\xa5)`
const wideSemicolon = String.raw`\xef\xbc\x9b|\xef\xb9\x94|\xcd\xbe`
/** A dot segment that Nginx does not resolve: with path parameters, or characters like a dot. */
const dotSegment = String.raw`${slash}${dots}(?:${slash}|;|${wideSemicolon}|\z)`

/** Matches `$request_uri`. */
export const encoded = `~*^[^?#]*(?:%(?:2f|5c|${control})|${encodedDotSegment})`
/** Matches `$uri`, where Nginx has resolved all other dot segments. */
export const ambiguousExceptParameters = `~*${dotSegment}|${unsafeInAnyPath}|//|${wideControl}|${notUtf8}|${encodedTwice}`
export const ambiguous = `${ambiguousExceptParameters}|;`

/**
 * Returns conditions that reject paths in a location that a service may route to an inner one with
 * another rule: many routers ignore case, a suffix, or a dot or space at the end of a segment.
 */
export function lookalikeChecks(outer: Upstream, upstreams: readonly Upstream[]): string {
  const inner = upstreams.filter((upstream) => isWithin(upstream, outer))
  if (inner.length === 0) return ''
  const patterns = [`%[0-9a-f]{2}|${wideSemicolon}`, ...inner.map(({ path }) => lookalikesOf(path))]
  const checks = patterns.map((pattern) => rejectIf(`$uri ~* "${pattern}"`)).join('')
  return `    # Other ways to write ${inner.map(({ path }) => path).join(', ')}.\n${checks}`
}

/** Characters that some routers read as a letter: of full width, circled, long s, dotless i … */
const folded = [
  String.raw`\xc5\xbf|\xc4[\xb0\xb1]|\xe2[\x84\x85\x91-\x93][\x80-\xbf]|\xf0\x9d[\x90-\x9f][\x80-\xbf]`,
  String.raw`\xef\xb9[\x90-\xaf]|\xef\xbc[\x81-\xbf]|\xef\xbd[\x80-\x9e]`,
].join('|')

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
