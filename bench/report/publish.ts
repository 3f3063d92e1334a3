import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from '../machine/process.ts'
import { drawChart } from './chart.ts'
import { type Result, readResults } from './results.ts'
import { writeTable } from './table.ts'

/** Writes docs/performance.svg and the figures of docs/performance.md from the latest results. */
const { machine, suites } = readResults()
const results = Object.values(suites)
if (results.length === 0) throw new Error('There are no results. Run: bun run bench')
const rows = results.flatMap((result) => result.rows)
writeFileSync(join(root, 'docs/performance.svg'), drawChart(rows))

const page = join(root, 'docs/performance.md')
const [start, end] = ['<!-- figures -->', '<!-- end of figures -->']
const text = readFileSync(page, 'utf8')
const [before = '', rest = ''] = text.split(start)
const after = rest.split(end)[1]
if (after === undefined) throw new Error(`docs/performance.md must contain ${start} and ${end}.`)
const figures = [
  start,
  describeRun(results),
  '![Each ratio next to its target](performance.svg)',
  writeTable(rows),
  end,
]
writeFileSync(page, before + figures.join('\n\n') + after)
console.log('Wrote docs/performance.md and docs/performance.svg.')

function describeRun(all: readonly Result[]): string {
  const dates = [...new Set(all.map(({ date }) => date))].sort().join(' and ')
  const range = (values: readonly number[]) => {
    const [least, most] = [Math.min(...values), Math.max(...values)]
    return least === most ? `${least}` : `${least} to ${most}`
  }
  const loads = all.flatMap(({ otherLoad }) => otherLoad ?? []).map((cores) => Number(cores.toFixed(1)))
  const shared =
    loads.length === 0
      ? ''
      : ` Other programs used ${range(loads)} cores of the machine during the suites${Math.max(...loads) > 0.3 ? ', so the figures are worse than those of an idle machine' : ''}.`
  return `Measured on ${dates}: ${machine}, PostgreSQL 18.\n${range(all.map((result) => result.rounds))} rounds of ${range(all.map((result) => result.seconds))} s.${shared}`
}
