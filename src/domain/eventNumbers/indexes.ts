import type { Range } from './ranges.ts'

/** The indexes of the events of one process by number. Any number may be claimed. */
export interface Indexes {
  /** A record takes precedence over a pending event of its number. */
  add(n: number, index: number | 'pending'): void
  /** Undefined for a pending event. */
  indexOf(n: number): number | undefined
  /** Returns the known numbers in order. */
  ranges(): Range[]
  /** Returns the numbers of records in order. */
  recordRanges(): Range[]
  /** Returns the lowest number of a pending event. */
  lowestPending(): number | undefined
}

/** Most processes have few events, some have most. */
const chunkLength = 256
/** The values in a chunk: an index plus `offset`, or `pending`. */
const pending = 1
const offset = 2

export function createIndexes(): Indexes {
  const chunks = new Map<number, number[]>()
  const placeOf = (n: number) => {
    const position = Math.floor(n / chunkLength)
    return { position, at: n - position * chunkLength }
  }
  const rangesFrom = (lowest: number): Range[] => {
    const ranges: [number, number][] = []
    for (const [position, chunk] of [...chunks].sort(([one], [other]) => one - other))
      for (const [at, value = 0] of chunk.entries()) {
        if (value < lowest) continue
        const n = position * chunkLength + at
        const before = ranges.at(-1)
        if (before?.[1] === n - 1) before[1] = n
        else ranges.push([n, n])
      }
    return ranges
  }
  return {
    add: (n, index) => {
      const { position, at } = placeOf(n)
      const known = chunks.get(position)
      const chunk = known ?? []
      if (!known) chunks.set(position, chunk)
      if ((chunk[at] ?? 0) < offset) chunk[at] = index === 'pending' ? pending : index + offset
    },
    indexOf: (n) => {
      const { position, at } = placeOf(n)
      const value = chunks.get(position)?.[at] ?? 0
      return value >= offset ? value - offset : undefined
    },
    ranges: () => rangesFrom(pending),
    recordRanges: () => rangesFrom(offset),
    lowestPending: () => {
      for (const [position, chunk] of [...chunks].sort(([one], [other]) => one - other)) {
        const at = chunk.indexOf(pending)
        if (at >= 0) return position * chunkLength + at
      }
      return undefined
    },
  }
}
