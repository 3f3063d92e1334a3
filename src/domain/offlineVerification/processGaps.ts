import type { ParsedLeaf } from '../audit/leaf.ts'
import type { Find } from '../auditVerification/findings.ts'
import { createProcessNumbers, type RemovedEvents } from '../auditVerification/processNumbers.ts'
import type { Range } from '../auditVerification/ranges.ts'
import { reportRemoved, separateLost } from '../auditVerification/verify.ts'
import type { Restores } from './restores.ts'

export interface GapNotes {
  readonly lost: number
  readonly inFlight: number
  readonly unsure: number
}

export interface GapContext {
  readonly restores: Restores
  readonly minimumIndex: number
  /** Indexes of records that say nothing that counts, in order. */
  readonly unreadable: readonly Range[]
}

/** Finds the events that were removed before they reached the log. */
export interface ProcessGaps {
  /** Returns the index of the record that this one is a copy of. */
  add(leaf: ParsedLeaf, index: number): number | undefined
  /** Reports the events that no pruned or unreadable record can be. */
  report(find: Find, context: GapContext): GapNotes
}

export function createProcessGaps(): ProcessGaps {
  const numbers = createProcessNumbers()
  const firsts = new Map<string, { readonly n: number; covered: number }>()
  return {
    add: (leaf, index) => {
      const copied = numbers.indexOf(leaf)
      if (copied !== undefined) return copied
      numbers.add(leaf, index)
      const { p, n, done, type, facts } = leaf
      const first = firsts.get(p)
      if (!first) firsts.set(p, { n, covered: Number.POSITIVE_INFINITY })
      else if (done >= first.n) first.covered = Math.min(first.covered, n)
      if (type === 'audit.lost') numbers.accept(facts.process, facts.numbers)
      return undefined
    },
    report: (find, { restores, minimumIndex, unreadable }) => {
      const { removed, lost } = separateLost(
        numbers,
        restores.list().map(({ size }) => size),
      )
      // Events before the first one of a process may have been pruned, and those that ran beside it.
      const firstKept = (process: string) => (minimumIndex > 0 ? (firsts.get(process)?.covered ?? 0) : 0)
      reportRemoved(
        removed.flatMap((events) => {
          const { after = -1, before = Number.POSITIVE_INFINITY } = events
          return unreadable.some(([first, last]) => last > after && first < before)
            ? []
            : withoutBelow(events, firstKept(events.process))
        }),
        find,
      )
      return { lost, inFlight: numbers.inFlight(), unsure: numbers.unsure() }
    },
  }
}

function withoutBelow(events: RemovedEvents, bound: number): readonly RemovedEvents[] {
  const first = Math.max(events.first, bound)
  return first > events.last ? [] : [{ ...events, first }]
}
