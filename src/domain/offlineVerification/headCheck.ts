import type { ParsedLeaf } from '../audit/leaf.ts'
import type { Find } from '../auditVerification/findings.ts'
import type { Head } from '../exportedLog/heads.ts'
import { type RecordFind, spanText } from './findRecord.ts'
import type { TwoTrees } from './twoTrees.ts'

/** A record whose hash is not the one in its tile. */
export interface Suspect {
  readonly index: number
  readonly leaf: ParsedLeaf | undefined
  /** The path of the tile. */
  readonly tile: string
}

/** A checkpoint that was given, or whose keys are unknown. Other records may explain it. */
export interface UndecidedHead {
  readonly head: Head
  readonly problem: string | undefined
}

interface HeadCheckDeps {
  readonly heads: AsyncGenerator<Head, undefined>
  readonly find: Find
  readonly findRecord: RecordFind
  readonly onRecord: (leaf: ParsedLeaf, index: number) => void
  readonly onUnreadable: (index: number) => void
}

/**
 * Compares the trees with the checkpoints, and decides which of them is wrong where they differ.
 */
export function createHeadCheck(trees: TwoTrees, deps: HeadCheckDeps) {
  const { heads, find } = deps
  let next: Head | undefined
  let hasBegun = false
  let suspects: Suspect[] = []
  /**
   * The sizes of the last checkpoints that the records fit: of any, and of those that were given.
   */
  let [agreed, agreedGiven] = [0, 0]
  let isExplained = false
  let isSigned = false
  let uncompared = 0
  const undecided: UndecidedHead[] = []

  const advance = async () => {
    hasBegun = true
    next = (await heads.next()).value ?? undefined
  }

  const compare = (head: Head) => {
    const fits = trees.hasRoot(head.root)
    // A kept checkpoint proves nothing about someone who has the key.
    const from = head.kind === 'given' ? agreedGiven : agreed
    const problem = fits ? undefined : `${head.name} does not fit the records${spanText(from, head.size - 1)}`
    if (!head.isSigned || head.kind === 'given') undecided.push({ head, problem })
    else if (problem !== undefined && !isExplained) find(problem)
    // A restore may explain why a given one does not fit.
    if (!head.isSigned || (head.kind === 'given' && !fits)) return
    decideSuspects(trees.settle(head.root), suspects, deps)
    suspects = []
    isExplained = !fits
    isSigned = fits
    if (fits) agreed = head.size
    if (fits && head.kind === 'given') agreedGiven = head.size
  }

  return {
    suspect: (suspect: Suspect) => {
      suspects.push(suspect)
    },
    isDue: (size: number) => !hasBegun || (next !== undefined && next.size <= size),
    /** Compares the checkpoints of this size. Those of smaller ones have been passed by. */
    compareAt: async (size: number) => {
      if (!hasBegun) await advance()
      for (; next && next.size <= size; await advance()) {
        if (next.size < size) uncompared++
        else compare(next)
      }
    },
    finish: async () => {
      for (; next; await advance()) uncompared++
      decideSuspects('neither', suspects, deps)
    },
    result: () => ({ undecided, uncompared, isSigned }),
  }
}

function decideSuspects(
  right: ReturnType<TwoTrees['settle']>,
  suspects: readonly Suspect[],
  { find, findRecord, onRecord, onUnreadable }: HeadCheckDeps,
): void {
  let reported: string | undefined
  for (const { index, leaf, tile } of suspects) {
    if (right === 'records') {
      if (tile !== reported) find(`${tile} was changed`)
      reported = tile
      if (leaf) onRecord(leaf, index)
      else onUnreadable(index)
    } else {
      findRecord(index, leaf, right === 'tiles' ? 'was edited' : `does not have the hash that ${tile} has`)
      onUnreadable(index)
    }
  }
}
