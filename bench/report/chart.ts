import { format, type Row, spreadOf } from './row.ts'
import { judged, scoreOf, type Target, verdictOf } from './targets.ts'

const width = 760
const margin = 24
const rowHeight = 46
const top = 76
/** Pixels of a bar whose row just meets its target. */
const mustWidth = (width - 2 * margin) / 2

/** Returns the rows with a target as an SVG that is readable on light and dark pages. */
export function drawChart(rows: readonly Row[]): string {
  const measured = judged(rows)
  const height = top + measured.length * rowHeight + 12
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="Each measured ratio next to its target">
<style>
  text { font: 13px system-ui, "DejaVu Sans", sans-serif; fill: #1f2328 }
  .title { font-size: 16px; font-weight: 600 }
  .note { fill: #59636e }
  .value { font-weight: 600 }
  .card { fill: #fff; stroke: #d1d9e0 }
  .track { fill: #eff2f5 }
  .meets { fill: #2f6feb }
  .misses { fill: #bf8700 }
  .target { stroke: #1f2328; stroke-width: 2 }
  .aim { stroke: #1f2328; stroke-width: 2; stroke-dasharray: 3 2 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .note { fill: #9198a1 }
    .card { fill: #0d1117; stroke: #3d444d }
    .track { fill: #21262d }
    .meets { fill: #58a6ff }
    .misses { fill: #d29922 }
    .target, .aim { stroke: #e6edf3 }
  }
</style>
<rect class="card" x="0.5" y="0.5" width="${width - 1}" height="${height - 1}" rx="8"/>
<text class="title" x="${margin}" y="32">Measured ratios and their targets</text>
<text class="note" x="${margin}" y="54">Longer is better. The solid line is the target, the dashed line the aim.</text>
${measured.map(({ row, target }, index) => drawRow(row, target, top + index * rowHeight)).join('\n')}
</svg>
`
}

function drawRow(row: Row, target: Target, y: number): string {
  const { median } = spreadOf(row.values)
  const length = (score: number) => Math.round(score * mustWidth)
  const kind = verdictOf(median, target) === 'misses the target' ? 'misses' : 'meets'
  const aim = target.aim === undefined ? undefined : margin + length(scoreOf(target.aim, target))
  const right = width - margin
  const bounds = `target ${target.must}${target.aim === undefined ? '' : `, aim ${target.aim}`}`
  const mark = (name: string, x: number) => `<line class="${name}" x1="${x}" x2="${x}" y1="${y + 17}" y2="${y + 35}"/>`
  return [
    `<text x="${margin}" y="${y + 12}">${escapeXml(row.what)}</text>`,
    `<text x="${right}" y="${y + 12}" text-anchor="end"><tspan class="value">${format(median)}</tspan> <tspan class="note">${bounds}</tspan></text>`,
    `<rect class="track" x="${margin}" y="${y + 20}" width="${right - margin}" height="12" rx="2"/>`,
    `<rect class="${kind}" x="${margin}" y="${y + 20}" width="${Math.max(2, length(scoreOf(median, target)))}" height="12" rx="2"/>`,
    mark('target', margin + mustWidth),
    ...(aim === undefined ? [] : [mark('aim', aim)]),
  ].join('\n')
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
}
