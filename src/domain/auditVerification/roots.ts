import type { StoredCheckpoint, StoredEvent } from '../../db/audit/reading.ts'
import type { AuditKeys } from '../audit/auditKeys.ts'
import type { GrowingTree } from '../transparency/tree.ts'
import { isSigned } from './checkpoints.ts'
import type { Find } from './findings.ts'

/** Compares the tree that the records make with what each checkpoint signs. */
export interface RootCheck {
  /** Adds a record whose seal fits no known key. */
  sealMismatch(event: StoredEvent, problem: string): void
  /** A record or node is missing, so the tree cannot be the one that was signed. */
  explain(problem: string): void
  /** Whether a finding explains why the tree is another one. */
  isExplained(): boolean
  checkpoint(at: StoredCheckpoint, isCurrent: boolean): void
  finish(): void
  /** Returns how many records have the seal of a former key. */
  formerSeals(): number
}

const maxKept = 2000

/**
 * If SECRET_KEY was changed, a former key may have made a seal or signed a checkpoint, so the next
 * checkpoint of a known key decides.
 */
export function createRootCheck(
  tree: GrowingTree,
  origin: string,
  keys: AuditKeys,
  hasKeyChange: boolean,
  find: Find,
): RootCheck {
  let isExplained = false
  let undecided: { readonly event: StoredEvent; readonly problem: string }[] = []
  let unlisted = 0
  let formerSeals = 0
  /** The size of a checkpoint that a former key may have signed. */
  let unsignedSize: number | undefined

  const reportSeals = () => {
    if (undecided.length > 0) isExplained = true
    for (const { event, problem } of undecided) find(problem, event)
    if (unlisted > 0) find(`the seals of ${unlisted} more records do not fit`)
    undecided = []
    unlisted = 0
  }

  const acceptSeals = () => {
    formerSeals += undecided.length + unlisted
    undecided = []
    unlisted = 0
  }

  return {
    sealMismatch: (event, problem) => {
      if (undecided.length < maxKept) undecided.push({ event, problem })
      else unlisted++
      if (!hasKeyChange) reportSeals()
    },
    explain: (problem) => {
      isExplained = true
      find(problem)
    },
    isExplained: () => isExplained,
    checkpoint: (at, isCurrent) => {
      const isKnown = isSigned(at, origin, keys)
      unsignedSize = isKnown || !hasKeyChange ? undefined : at.size
      if (!isKnown && !hasKeyChange) find(unsignedText(at.size))
      if (!isKnown || !isCurrent) return
      if (tree.root().equals(at.root)) {
        acceptSeals()
        return
      }
      reportSeals()
      if (!isExplained) find(`the records below ${at.size} are not the ones that the checkpoint signs`)
      isExplained = true
    },
    finish: () => {
      // No checkpoint of a known key covers them.
      reportSeals()
      if (unsignedSize !== undefined) find(unsignedText(unsignedSize))
    },
    formerSeals: () => formerSeals,
  }
}

function unsignedText(size: number): string {
  return `the checkpoint at size ${size} was not signed by this service`
}
