import type { ParsedLeaf } from '../audit/leaf.ts'
import type { Find } from '../auditVerification/findings.ts'
import { reportRemoved, separateLost } from '../auditVerification/verify.ts'
import { createProcessNumbers, type RemovedEvents } from '../eventNumbers/processNumbers.ts'
import type { Range } from '../eventNumbers/ranges.ts'
import type { Prunings } from './prunings.ts'
import type { Restores } from './restores.ts'

export interface GapNotes {
  readonly lost: number
  readonly inFlight: number
  readonly unsure: number
}

export interface GapContext {
  readonly restores: Restores
  readonly prunings: Prunings
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
  return {
    add: (leaf, index) => {
      const copied = numbers.indexOf(leaf)
      if (copied !== undefined) return copied
      numbers.add(leaf, index)
      const { type, facts } = leaf
      if (type === 'audit.lost') numbers.accept(facts.process, facts.numbers)
      return undefined
    },
    report: (find, { restores, prunings, unreadable }) => {
      for (const [process, ranges] of prunings.numbers()) numbers.addPruned(process, ranges)
      const { removed, lost } = separateLost(
        numbers,
        restores.list().map(({ size }) => size),
      )
      // Pruned records are explained by their numbers.
      const unexplained = unreadable.filter(([, last]) => last >= prunings.minimumIndex())
      const mayBe = ({ after = -1, before = Number.POSITIVE_INFINITY }: RemovedEvents) =>
        unexplained.some(([first, last]) => last > after && Math.max(first, prunings.minimumIndex()) < before)
      reportRemoved(
        removed.filter((events) => !mayBe(events)),
        find,
      )
      return { lost, inFlight: numbers.inFlight(), unsure: numbers.unsure() }
    },
  }
}
