import type { ParsedLeaf } from '../audit/leaf.ts'
import type { Find } from '../auditVerification/findings.ts'
import type { GivenCheckpoint, ServedHead } from '../exportedLog/heads.ts'
import type { UndecidedHead } from './headCheck.ts'
import type { Prunings } from './prunings.ts'
import type { Restores } from './restores.ts'

interface HeadContext {
  readonly restores: Restores
  readonly prunings: Prunings
}

/** Decides about checkpoints that records may explain: of a former key, or lost by a restore. */
export interface Undecided {
  add(leaf: ParsedLeaf, index: number): void
  /** Reports those that no record explains. Returns notes about the others. */
  report(compared: readonly UndecidedHead[], context: HeadContext, find: Find): string[]
}

const keyChanges = ['secret_key.changed', 'key.reset', 'audit.restored']

export function createUndecided(given: readonly GivenCheckpoint[], served: ServedHead): Undecided {
  let lastKeyChange = -1
  return {
    add: ({ type }, index) => {
      if (keyChanges.includes(type)) lastKeyChange = index
    },
    report: (compared, { restores, prunings }, find) => {
      if (prunings.isKeyChanged()) lastKeyChange = Math.max(lastKeyChange, prunings.minimumIndex())
      const notes: string[] = []
      const former = compared.filter(({ head }) => !head.isSigned)
      for (const { head, problem } of former) {
        if (head.size > lastKeyChange) find(`${head.name} is not signed by a given key`)
        else if (problem !== undefined) find(problem)
      }
      const unknown = former.filter(({ head, problem }) => head.size <= lastKeyChange && problem === undefined).length
      if (unknown > 0) notes.push(`${unknown} kept checkpoints are signed by a former key that was not given`)
      const files = Map.groupBy(given, ({ file }) => file)
      for (const checkpoints of files.values()) notes.push(...reportGiven(checkpoints, { compared, restores, find }))
      return notes
    },
  }

  /**
   * Reports the first checkpoint of a file that does not fit, and the largest that is beyond the
   * end.
   */
  function reportGiven(
    checkpoints: readonly GivenCheckpoint[],
    { compared, restores, find }: { compared: readonly UndecidedHead[]; restores: Restores; find: Find },
  ): string[] {
    const problems = new Map(compared.map(({ head, problem }) => [head.name, problem]))
    const isLost = ({ origin, size }: GivenCheckpoint) => restores.lossOf(origin, size) !== undefined
    const lost = checkpoints.filter(isLost)
    const rest = checkpoints.filter((checkpoint) => !isLost(checkpoint))
    const misfit = rest.map(({ name }) => problems.get(name)).find((problem) => problem !== undefined)
    if (misfit !== undefined) find(misfit)
    const beyond = rest.filter(({ size }) => size > served.size).toSorted((one, other) => other.size - one.size)
    if (beyond[0]) find(`${beyond[0].name} is beyond the end of the log at ${served.size}`)
    const [first] = lost
    const restore = first && restores.lossOf(first.origin, first.size)
    return restore
      ? [`given checkpoints of records that the restore at record ${restore.index} lost: ${lost.length}`]
      : []
  }
}
