import { printable } from '../../telemetry/log.ts'

/** Formats rows under headings, in columns as wide as their contents. */
export function table(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = headings.map((heading, column) =>
    Math.max(heading.length, ...rows.map((row) => row[column]?.length ?? 0)),
  )
  const line = (row: readonly string[]) =>
    `${row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd()}\n`
  return [headings, ...rows].map((row) => line(row.map((cell) => printable(cell.replace(/\p{Cc}/gu, ' '))))).join('')
}

/** Returns an ISO 8601 time as `2026-11-28 09:30`, in UTC. */
export function minutes(time: string): string {
  return time.slice(0, 16).replace('T', ' ')
}

export function jsonText(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`
}
