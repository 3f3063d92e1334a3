import type { StoredEvent } from '../../db/audit/reading.ts'
import type { AuditKeys } from '../audit/auditKeys.ts'
import { type ParsedLeaf, parseLeaf } from '../audit/leaf.ts'
import { columnsOf, isCommitted } from '../audit/sequencing.ts'
import { hashLeaf } from '../transparency/tree.ts'

export type PersonalColumn = 'by_private' | 'about_private'

export interface CheckedRecord {
  /** Undefined: it was edited, or no version of this service wrote it. */
  readonly leaf: ParsedLeaf | undefined
  readonly problems: readonly string[]
  /** Texts that are missing: they were erased or removed. */
  readonly missing: readonly PersonalColumn[]
  /** What is wrong with its seal, which may be of a key that is no longer known. */
  readonly sealProblem: string | undefined
}

/**
 * Checks what a record says against its hash, its seal and its columns. What an edited leaf says
 * counts for nothing.
 */
export function checkRecord(keys: AuditKeys, event: StoredEvent): CheckedRecord {
  if (!hashLeaf(event.leaf).equals(event.hash))
    return { ...untrusted, problems: ['was edited: its leaf does not have its hash'] }
  const leaf = parseLeaf(event.leaf)
  const problems = leaf
    ? [...columnProblems(leaf, event), ...personalProblems(leaf, event)]
    : ['is not a record of this service']
  const texts = { byPrivate: event.by_private, aboutPrivate: event.about_private }
  return { leaf, problems, missing: leaf ? missingTexts(leaf, texts) : [], sealProblem: sealProblemOf(keys, event) }
}

const untrusted = { leaf: undefined, missing: [], sealProblem: undefined }

function sealProblemOf(keys: AuditKeys, { index, hash, seal }: StoredEvent): string | undefined {
  if (keys.isSeal(index, hash, seal)) return undefined
  const neighbors = [index - 1, index + 1, index - 2, index + 2].filter((other) => other >= 0)
  const from = neighbors.find((other) => keys.isSeal(other, hash, seal))
  return from === undefined ? 'was edited or inserted: its seal does not fit' : `is the record of index ${from}`
}

function columnProblems(leaf: ParsedLeaf, event: StoredEvent): string[] {
  const { time, type, byId, aboutId, outcome } = columnsOf(leaf)
  const isSame = {
    time: timeText(event.time) === time,
    type: event.type === type,
    by_id: event.by_id === byId,
    about_id: event.about_id === aboutId,
    outcome: event.outcome === outcome,
    process: event.process === leaf.p,
    n: event.n === leaf.n,
  }
  const changed: string[] = []
  for (const [name, same] of Object.entries(isSame)) if (!same) changed.push(`has another ${name} than its leaf`)
  return changed
}

function personalProblems({ by, about }: ParsedLeaf, event: StoredEvent): string[] {
  const commitments = { by_private: by.private, about_private: about?.private }
  const changed = (['by_private', 'about_private'] as const).filter(
    (column) => event[column] !== null && !isCommitted(commitments[column], event[column]),
  )
  return changed.map((column) => `had its ${column} changed`)
}

/** Returns the time in ISO 8601; a time beyond what JavaScript knows stands as it is. */
export function timeText(time: Date): string {
  return Number.isNaN(time.getTime()) ? String(time) : time.toISOString()
}

/** Returns the texts that a record commits to, and that are missing. */
function missingTexts(
  leaf: ParsedLeaf,
  { byPrivate, aboutPrivate }: { readonly byPrivate: string | null; readonly aboutPrivate: string | null },
): readonly PersonalColumn[] {
  const missing: PersonalColumn[] = []
  if (leaf.by.private !== undefined && byPrivate === null) missing.push('by_private')
  if (leaf.about?.private !== undefined && aboutPrivate === null) missing.push('about_private')
  return missing
}
