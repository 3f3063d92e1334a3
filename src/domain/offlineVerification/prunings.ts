import type { ParsedLeaf } from '../audit/leaf.ts'
import { merged, type Range, rangesIn } from '../auditVerification/ranges.ts'
import { tileWidth } from '../transparency/tree.ts'

/** What the records of prunings say was removed from the beginning of the log. */
export interface Prunings {
  add(leaf: ParsedLeaf, index: number): void
  /** Records below it, and their tiles, may be missing. */
  minimumIndex(): number
  /** Returns the numbers of a process whose events were pruned. */
  numbersOf(process: string): readonly Range[]
  /** Whether SECRET_KEY was changed in what was pruned. */
  isKeyChanged(): boolean
}

export function createPrunings(): Prunings {
  const numbers = new Map<string, Range[]>()
  let [minimum, isKeyChanged] = [0, false]
  return {
    add: ({ type, facts: { minimum_index: pruned, key_changed, processes } }, index) => {
      const isMinimum = typeof pruned === 'number' && pruned % tileWidth === 0 && pruned >= 0 && pruned <= index
      if (type !== 'audit.pruned' || !isMinimum || !Array.isArray(processes)) return
      minimum = Math.max(minimum, pruned)
      isKeyChanged ||= key_changed === true
      for (const entry of processes) {
        const [, process = '', ranges] =
          /^(\S+) (\d+(?:-\d+)?(?:,\d+(?:-\d+)?)*)$/.exec(typeof entry === 'string' ? entry : '') ?? []
        if (ranges !== undefined)
          numbers.set(process, merged([...(numbers.get(process) ?? []), ...rangesIn(ranges.split(','))]))
      }
    },
    minimumIndex: () => minimum,
    numbersOf: (process) => numbers.get(process) ?? [],
    isKeyChanged: () => isKeyChanged,
  }
}
