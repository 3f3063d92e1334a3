import type { ParsedLeaf } from '../audit/leaf.ts'
import { numbersIn } from '../audit/numbers.ts'

/** The numbers of each process, which every one of its events must explain. */
export interface ProcessNumbers {
  /**
   * Adds an event at its index; `pending` if it is not in the log yet. What it says was settled
   * counts unless it is `new`: other such events may not have been read.
   */
  add(leaf: ParsedLeaf, index: number | 'pending', age?: 'new'): void
  /** Returns the index of an event with the same process and number. */
  indexOf(leaf: Pick<ParsedLeaf, 'p' | 'n'>): number | undefined
  /** Yields the numbers that a later event says were settled, and that are nowhere. */
  removed(): Generator<RemovedEvent>
  /** Returns how many numbers were in flight when their process ended. */
  inFlight(): number
  /** Returns how many events may or may not have been committed. */
  unsure(): number
}

export interface RemovedEvent {
  readonly process: string
  readonly n: number
  /** The indexes of the events of the process around it. Undefined: none. */
  readonly after: number | undefined
  readonly before: number | undefined
}

interface Known {
  /** The index of each number plus 2; 1: explained or pending; 0: unknown. */
  indexes: Float64Array
  done: number
  highest: number
}

const explained = 1

export function createProcessNumbers(): ProcessNumbers {
  const processes = new Map<string, Known>()
  let unsureCount = 0
  const knownOf = (process: string): Known => {
    const known = processes.get(process)
    if (known) return known
    const created = { indexes: new Float64Array(64), done: 0, highest: 0 }
    processes.set(process, created)
    return created
  }
  const mark = (known: Known, n: number, value: number) => {
    if (n >= known.indexes.length) {
      const larger = new Float64Array(Math.max(n + 1, known.indexes.length * 2))
      larger.set(known.indexes)
      known.indexes = larger
    }
    if ((known.indexes[n] ?? 0) <= explained) known.indexes[n] = value
    known.highest = Math.max(known.highest, n)
  }
  return {
    add: ({ p, n, done, lost = '', unsure = '' }, index, age) => {
      const known = knownOf(p)
      mark(known, n, index === 'pending' ? explained : index + 2)
      for (const number of numbersIn(lost)) mark(known, number, explained)
      for (const number of numbersIn(unsure)) {
        mark(known, number, explained)
        unsureCount++
      }
      if (age !== 'new') known.done = Math.max(known.done, done)
    },
    indexOf: ({ p, n }) => {
      const value = processes.get(p)?.indexes[n] ?? 0
      return value > explained ? value - 2 : undefined
    },
    removed: function* () {
      for (const [process, { indexes, done }] of processes)
        for (let n = 1; n <= done; n++) {
          if ((indexes[n] ?? 0) !== 0) continue
          yield { process, n, after: neighbor(indexes, n, -1), before: neighbor(indexes, n, 1) }
        }
    },
    inFlight: () => {
      let count = 0
      for (const { indexes, done, highest } of processes.values())
        for (let n = done + 1; n <= highest; n++) if ((indexes[n] ?? 0) === 0) count++
      return count
    },
    unsure: () => unsureCount,
  }
}

function neighbor(indexes: Float64Array, from: number, step: 1 | -1): number | undefined {
  for (let n = from + step; n >= 1 && n < indexes.length; n += step) {
    const value = indexes[n] ?? 0
    if (value > explained) return value - 2
  }
  return undefined
}
