import type { ParsedLeaf } from '../audit/leaf.ts'
import { createIndexes, type Indexes } from './indexes.ts'
import { countOf, gapsIn, merged, type Range, rangesIn } from './ranges.ts'

/** The numbers of each process, which every one of its events must explain. */
export interface ProcessNumbers {
  /**
   * Adds an event at its index; `pending` if it is not in the log yet. What it says was settled
   * counts unless it is `new`: other such events may not have been read.
   */
  add(leaf: ParsedLeaf, index: number | 'pending', age?: 'new'): void
  /** Adds a record that is there, but says nothing that counts. */
  addUntrusted(process: string, n: number, index: number): void
  /** Adds numbers that an operator has accepted as lost, as ranges. */
  accept(process: unknown, numbers: unknown): void
  /** Adds numbers of events that were pruned, as ranges. */
  addPruned(process: string, numbers: string): void
  /** Adds that an earlier verification has found the numbers below `n` explained. */
  addVerified(process: string, n: number): void
  /** Returns the numbers of each process that need no explanation. */
  explained(): Iterable<readonly [process: string, numbers: readonly Range[]]>
  /** Returns the index of an event with the same process and number. */
  indexOf(leaf: Pick<ParsedLeaf, 'p' | 'n'>): number | undefined
  /**
   * Yields the numbers that a later event says were settled, and that are nowhere and not accepted.
   * Skips processes without an event from `minimumIndex` on, whose events may be pruned.
   */
  removed(minimumIndex?: number): Generator<RemovedEvents>
  /** Yields the processes with pending events, and the lowest number of one. */
  pending(): Generator<readonly [process: string, n: number]>
  /** Returns how many settled numbers are nowhere and accepted. */
  accepted(): number
  /** Returns how many numbers were in flight when their process ended. */
  inFlight(): number
  /** Returns how many events may or may not have been committed, and are not there. */
  unsure(): number
}

/** Events of a process with these numbers. */
export interface RemovedEvents {
  readonly process: string
  readonly first: number
  readonly last: number
  /** The indexes of the events of the process around them. Undefined: none. */
  readonly after: number | undefined
  readonly before: number | undefined
}

interface Known {
  readonly indexes: Indexes
  /** Ranges as the events list them, mostly several times. */
  readonly lost: Set<string>
  readonly unsure: Set<string>
  readonly accepted: Set<string>
  readonly pruned: Set<string>
  done: number
  highest: number
  /** The highest index of a record. */
  latest: number
  hasPending: boolean
}

export function createProcessNumbers(): ProcessNumbers {
  const processes = new Map<string, Known>()
  const knownOf = (process: string): Known => {
    const known = processes.get(process)
    if (known) return known
    const created = newProcess()
    processes.set(process, created)
    return created
  }
  return {
    add: ({ p, n, done, lost, unsure }, index, age) => {
      const known = knownOf(p)
      known.indexes.add(n, index)
      known.highest = Math.max(known.highest, n)
      if (index === 'pending') known.hasPending = true
      else known.latest = Math.max(known.latest, index)
      for (const range of lost?.split(',') ?? []) known.lost.add(range)
      for (const range of unsure?.split(',') ?? []) known.unsure.add(range)
      if (age !== 'new') known.done = Math.max(known.done, done)
    },
    addUntrusted: (process, n, index) => knownOf(process).indexes.add(n, index),
    accept: (process, numbers) => {
      if (typeof process !== 'string' || typeof numbers !== 'string' || !/^[\d,-]+$/.test(numbers)) return
      for (const range of numbers.split(',')) knownOf(process).accepted.add(range)
    },
    addPruned: (process, numbers) => {
      for (const range of numbers.split(',')) knownOf(process).pruned.add(range)
    },
    addVerified: (process, n) => {
      if (n > 1) knownOf(process).pruned.add(`1-${n - 1}`)
    },
    explained: function* () {
      for (const [process, known] of processes) yield [process, explainedBy(known, 'or accepted')] as const
    },
    indexOf: ({ p, n }) => processes.get(p)?.indexes.indexOf(n),
    removed: function* (minimumIndex = 0) {
      for (const [process, known] of processes)
        if (known.hasPending || known.latest >= minimumIndex) yield* removedFrom(process, known)
    },
    pending: function* () {
      for (const [process, { hasPending, indexes }] of processes) {
        const n = hasPending ? indexes.lowestPending() : undefined
        if (n !== undefined) yield [process, n]
      }
    },
    accepted: () =>
      sum(processes, (known) => {
        const countWithout = (explained: readonly Range[]) => countOf(gapsIn(explained, 1, known.done))
        return countWithout(explainedBy(known)) - countWithout(explainedBy(known, 'or accepted'))
      }),
    inFlight: () => sum(processes, (known) => countOf(gapsIn(explainedBy(known), known.done + 1, known.highest))),
    unsure: () =>
      sum(processes, ({ indexes, unsure, pruned }) => {
        const present = merged([...indexes.ranges(), ...rangesIn(pruned)])
        return countOf(merged([...present, ...rangesIn(unsure)])) - countOf(present)
      }),
  }
}

function newProcess(): Known {
  return {
    indexes: createIndexes(),
    lost: new Set(),
    unsure: new Set(),
    accepted: new Set(),
    pruned: new Set(),
    done: 0,
    highest: 0,
    latest: -1,
    hasPending: false,
  }
}

function explainedBy({ indexes, lost, unsure, accepted, pruned }: Known, others?: 'or accepted'): Range[] {
  const reported = [...rangesIn(lost), ...rangesIn(unsure), ...rangesIn(pruned)]
  return merged([...indexes.ranges(), ...reported, ...(others ? rangesIn(accepted) : [])])
}

function* removedFrom(process: string, known: Known): Generator<RemovedEvents> {
  const records = known.indexes.recordRanges()
  let next = 0
  for (const [first, last] of gapsIn(explainedBy(known, 'or accepted'), 1, known.done)) {
    while ((records[next]?.[1] ?? last) < first) next++
    const [after, before] = [records[next - 1]?.[1], records[next]?.[0]]
    yield { process, first, last, after: indexAt(known, after), before: indexAt(known, before) }
  }
}

function indexAt({ indexes }: Known, n: number | undefined): number | undefined {
  return n === undefined ? undefined : indexes.indexOf(n)
}

function sum(processes: ReadonlyMap<string, Known>, countIn: (known: Known) => number): number {
  let total = 0
  for (const known of processes.values()) total += countIn(known)
  return total
}
