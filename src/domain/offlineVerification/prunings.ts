import type { ParsedLeaf } from '../audit/leaf.ts'
import { tileWidth } from '../transparency/tree.ts'

/** What the records of prunings say was removed from the beginning of the log. */
export interface Prunings {
  add(leaf: ParsedLeaf, index: number): void
  /** Records below it, and their tiles, may be missing. */
  minimumIndex(): number
  /** Returns the numbers of pruned events, as ranges of a process. */
  numbers(): readonly (readonly [process: string, ranges: string])[]
  /** Whether SECRET_KEY was changed in what was pruned. */
  isKeyChanged(): boolean
}

export function createPrunings(): Prunings {
  const numbers: [process: string, ranges: string][] = []
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
        if (ranges !== undefined) numbers.push([process, ranges])
      }
    },
    minimumIndex: () => minimum,
    numbers: () => numbers,
    isKeyChanged: () => isKeyChanged,
  }
}
