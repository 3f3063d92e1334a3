import { spread } from './machine.ts'

/** Prints a row of the table: minimum, median and maximum of the runs. */
export function report(what: string, values: readonly number[]): void {
  const { min, median, max } = spread(values)
  console.log(`| ${what} | ${format(min)} | ${format(median)} | ${format(max)} |`)
}

/** Prints the ratio of each round: neighboring runs ran under the same conditions. */
export function reportRatio(what: string, values: readonly number[], basis: readonly number[]): void {
  report(
    what,
    values.map((value, index) => value / (basis[index] ?? Number.NaN)),
  )
}

function format(value: number): string {
  return value >= 100 ? Math.round(value).toLocaleString('en') : value >= 10 ? value.toFixed(1) : value.toFixed(2)
}
