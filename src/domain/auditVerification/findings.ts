import { timeText } from './checkRecord.ts'

/** What is wrong with the log. `index` is undefined for a record that has none. */
export interface Finding {
  readonly index: number | undefined
  readonly time: string | undefined
  readonly type: string | undefined
  readonly problem: string
}

/** Reports a problem, of a record if one is given. */
export type Find = (
  problem: string,
  event?: { readonly index: number; readonly time: Date | string; readonly type: string },
) => void

/** Returns a function that passes findings on, and how many there were. */
export function countFindings(report: (finding: Finding) => void): {
  readonly find: Find
  readonly count: () => number
} {
  let count = 0
  return {
    find: (problem, event) => {
      count++
      const time = event && (typeof event.time === 'string' ? event.time : timeText(event.time))
      report({ index: event?.index, time, type: event?.type, problem })
    },
    count: () => count,
  }
}

export function missingText(first: number, last: number): string {
  return first === last ? `record ${first} is missing` : `records ${first} to ${last} are missing`
}
