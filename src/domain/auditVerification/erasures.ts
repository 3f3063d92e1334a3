import type { ParsedLeaf } from '../audit/leaf.ts'
import { merged, type Range, rangesIn } from './ranges.ts'

export type PersonalColumn = 'by_private' | 'about_private'

/** What the records of erasures say was erased. */
export interface Erasures {
  /** Adds what a record says, if it is one of an erasure. */
  add(leaf: ParsedLeaf): void
  /** Returns whether the text of a record may be missing. */
  covers(leaf: ParsedLeaf, index: number, column: PersonalColumn): boolean
}

interface Aged {
  readonly olderThan: number
  readonly below: number
}

export function createErasures(): Erasures {
  /** Indexes below which the texts of a party were erased. */
  const parties = new Map<string, number>()
  const pending = new Set<string>()
  let entered: readonly Range[] = []
  let aged: readonly Aged[] = []

  return {
    add: ({ type, about, facts }) => {
      if (type !== 'audit.erased') return
      const { below, older_than, indexes } = facts
      if (Array.isArray(facts.pending)) for (const event of facts.pending) pending.add(String(event))
      if (typeof indexes === 'string') entered = merged([...entered, ...rangesIn(indexes.split(','))])
      if (typeof below !== 'number') return
      if (about?.id !== undefined) parties.set(about.id, Math.max(below, parties.get(about.id) ?? 0))
      else if (typeof older_than === 'string') aged = withLatest(aged, { olderThan: Date.parse(older_than), below })
    },
    covers: ({ p, n, time, by, about }, index, column) => {
      const isListed = pending.has(`${p} ${n}`)
      const isErased = (id: string | undefined) => {
        const below = id === undefined ? undefined : parties.get(id)
        return below !== undefined && (isListed || index < below)
      }
      if (column === 'about_private' && isErased(about?.id)) return true
      if (column === 'by_private' && isErased(by.id ?? about?.id)) return true
      if (column === 'by_private' && by.id === undefined && isListed) return true
      if (column === 'by_private' && entered.some(([first, last]) => first <= index && index <= last)) return true
      return aged.some(({ olderThan, below }) => Date.parse(time) < olderThan && index < below)
    },
  }
}

/** Leaves out those that the latest one includes. */
function withLatest(aged: readonly Aged[], latest: Aged): readonly Aged[] {
  return [...aged.filter(({ olderThan, below }) => olderThan > latest.olderThan || below > latest.below), latest]
}

/** Returns the texts that a record or pending event commits to, and that are missing. */
export function missingTexts(
  leaf: ParsedLeaf,
  { byPrivate, aboutPrivate }: { readonly byPrivate: string | null; readonly aboutPrivate: string | null },
): readonly PersonalColumn[] {
  const missing: PersonalColumn[] = []
  if (leaf.by.private !== undefined && byPrivate === null) missing.push('by_private')
  if (leaf.about?.private !== undefined && aboutPrivate === null) missing.push('about_private')
  return missing
}
