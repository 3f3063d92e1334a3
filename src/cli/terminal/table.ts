import { printable } from '../../telemetry/log.ts'

/** Formats rows under headings, in columns as wide as their contents. */
export function table(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  return growingTable(headings)(rows)
}

/** Returns a function that formats more rows each time, in columns at least as wide as before. */
export function growingTable(headings: readonly string[]): (rows: readonly (readonly string[])[]) => string {
  let widths = headings.map(() => 0)
  let unprinted = [headings]
  const line = (row: readonly string[]) =>
    `${row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd()}\n`
  return (rows) => {
    const added = [...unprinted, ...rows].map((row) => row.map((cell) => printable(cell.replace(/\p{Cc}/gu, ' '))))
    unprinted = []
    widths = widths.map((width, column) => added.reduce((most, row) => Math.max(most, row[column]?.length ?? 0), width))
    return added.map(line).join('')
  }
}

/** Returns an ISO 8601 time as `2026-11-28 09:30`, in UTC. */
export function minutes(time: string): string {
  return time.slice(0, 16).replace('T', ' ')
}

export function jsonText(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`
}
