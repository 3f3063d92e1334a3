/** Numbers from the first to the last. */
export type Range = readonly [first: number, last: number]

/** Parses ranges such as `3-5` or `9`. */
export function rangesIn(texts: Iterable<string>): Range[] {
  return Array.from(texts, (text) => {
    const [first = 0, last = first] = text.split('-').map(Number)
    return [first, last] as const
  })
}

/** Writes ranges as `rangesIn` parses them, separated by commas. */
export function rangesText(ranges: readonly Range[]): string {
  return ranges.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`)).join(',')
}

/** Returns the same numbers as ranges in order, of which none touch. */
export function merged(ranges: readonly Range[]): Range[] {
  const result: [number, number][] = []
  for (const [first, last] of ranges.toSorted(([one], [other]) => one - other)) {
    const before = result.at(-1)
    if (before && first <= before[1] + 1) before[1] = Math.max(before[1], last)
    else result.push([first, last])
  }
  return result
}

/** Returns the numbers from `first` to `last` that merged ranges do not have. */
export function gapsIn(ranges: readonly Range[], first: number, last: number): Range[] {
  const gaps: Range[] = []
  let next = first
  for (const [from, to] of ranges) {
    if (from > last) break
    if (from > next) gaps.push([next, from - 1])
    next = Math.max(next, to + 1)
  }
  if (next <= last) gaps.push([next, last])
  return gaps
}

export function countOf(ranges: readonly Range[]): number {
  return ranges.reduce((count, [first, last]) => count + last - first + 1, 0)
}
