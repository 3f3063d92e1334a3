/** A measured figure: the runs' values, or what one round's run is to another's. */
export interface Row {
  readonly what: string
  readonly values: readonly number[]
}

export interface Spread {
  readonly min: number
  readonly median: number
  readonly max: number
}

/** Returns the ratio of each round: neighboring runs ran under the same conditions. */
export function ratio(what: string, values: readonly number[], basis: readonly number[]): Row {
  return { what, values: values.map((value, index) => value / (basis[index] ?? Number.NaN)) }
}

/** Returns a row for the rate, and one for the p99, of a load. */
export function loadRows(name: string, runs: readonly { readonly perSecond: number; readonly p99: number }[]): Row[] {
  return [
    { what: `${name}, requests/s`, values: runs.map(({ perSecond }) => perSecond) },
    { what: `${name}, p99, ms`, values: runs.map(({ p99 }) => p99) },
  ]
}

export function spreadOf(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b)
  return { min: sorted[0] ?? 0, median: sorted[sorted.length >> 1] ?? 0, max: sorted.at(-1) ?? 0 }
}

export function format(value: number): string {
  const size = Math.abs(value)
  return size >= 100 ? Math.round(value).toLocaleString('en') : value.toFixed(size >= 10 ? 1 : 2)
}
