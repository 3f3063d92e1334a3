import { format, type Row, spreadOf } from './row.ts'
import { judged, scoreOf, type Target, targetOf, verdictOf } from './targets.ts'

const nameWidth = 68
/** Columns of a bar whose row just meets its target. */
const mustColumns = 20

export function printRows(rows: readonly Row[]): void {
  for (const row of rows) {
    const { min, median, max } = spreadOf(row.values)
    const spread = row.values.length > 1 ? `${format(min)} to ${format(max)}` : ''
    const target = targetOf(row)
    const bounds = target ? `   ${describe(target)}` : ''
    console.log(`  ${row.what.padEnd(nameWidth)} ${format(median).padStart(9)}   ${spread.padEnd(18)}${bounds}`)
  }
}

/** Prints a bar for each row with a target: `|` is what it must reach, `:` what it should. */
export function printChart(rows: readonly Row[]): void {
  const measured = judged(rows)
  if (measured.length === 0) return
  console.log('\nLonger is better. | must be reached, : is the aim.\n')
  for (const { row, target } of measured) {
    const { median } = spreadOf(row.values)
    const verdict = `${format(median).padStart(8)}  ${verdictOf(median, target)} (${describe(target)})`
    console.log(`${row.what.padEnd(nameWidth)} ${barOf(median, target)} ${verdict}`)
  }
}

function describe({ must, aim, better }: Target): string {
  const sign = better === 'higher' ? '≥' : '≤'
  return aim === undefined ? `must ${sign} ${must}` : `must ${sign} ${must}, aim ${sign} ${aim}`
}

function barOf(value: number, target: Target): string {
  const columns = (score: number) => Math.round(score * mustColumns)
  const cells: string[] = Array.from({ length: mustColumns * 2 + 1 }, (_, index) =>
    index < columns(scoreOf(value, target)) ? '█' : ' ',
  )
  cells[mustColumns] = '|'
  if (target.aim !== undefined) cells[columns(scoreOf(target.aim, target))] = ':'
  return cells.join('')
}
