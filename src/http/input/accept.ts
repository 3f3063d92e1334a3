/** A media range of an Accept header (RFC 9110 §12.5.1). */
interface Range {
  readonly type: string
  readonly quality: number
}

/**
 * Returns the media type that an Accept header prefers. Among equals, one that it names wins over
 * one that a wildcard covers, then the order of `offered`. If it accepts none, returns the first.
 */
export function preferredType<Type extends string>(accept: string | null, offered: readonly [Type, ...Type[]]): Type {
  const ranges = (accept ?? '').split(',').flatMap(readRange)
  let best: { readonly type: Type; readonly quality: number; readonly precision: number } | undefined
  for (const type of offered) {
    const { quality, precision } = acceptanceOf(type, ranges)
    const isBetter = !best || quality > best.quality || (quality === best.quality && precision > best.precision)
    if (quality > 0 && isBetter) best = { type, quality, precision }
  }
  return best?.type ?? offered[0]
}

/** The most precise range that matches decides. */
function acceptanceOf(type: string, ranges: readonly Range[]): { quality: number; precision: number } {
  const patterns = ['*/*', `${type.slice(0, type.indexOf('/'))}/*`, type]
  const matches = ranges
    .map(({ type: range, quality }) => ({ quality, precision: patterns.indexOf(range) }))
    .filter(({ precision }) => precision >= 0)
  return matches.reduce((best, match) => (match.precision > best.precision ? match : best), {
    quality: 0,
    precision: -1,
  })
}

/** Ignores parameters besides `q`, and a range that is malformed. */
function readRange(text: string): Range[] {
  const [type = '', ...parameters] = text.split(';').map((part) => part.trim().toLowerCase())
  if (!/^[^\s/]+\/[^\s/]+$/.test(type)) return []
  const quality = parameters.find((parameter) => /^q\s*=/.test(parameter))?.replace(/^q\s*=\s*/, '')
  if (quality !== undefined && !/^(0(\.\d{0,3})?|1(\.0{0,3})?)$/.test(quality)) return []
  return [{ type, quality: Number(quality ?? 1) }]
}
