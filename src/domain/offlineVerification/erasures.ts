import type { ParsedLeaf } from '../audit/leaf.ts'

/** What the records themselves say was erased. */
export interface Erasures {
  add(leaf: ParsedLeaf, index: number): void
  /** Records below it, and their tiles, were removed on purpose. */
  minimumIndex(): number
  /** Returns whether a later record says that the texts by or about this person were erased. */
  isErased(index: number, person: string | undefined): boolean
}

export function createErasures(): Erasures {
  const persons = new Map<string, number>()
  let [minimum, before] = [0, 0]
  return {
    add: ({ type, facts }, index) => {
      const { person } = facts
      if (type === 'audit.pruned') minimum = Math.max(minimum, boundIn(facts.minimum_index, index))
      if (type !== 'audit.erased') return
      before = Math.max(before, boundIn(facts.before_index, index))
      if (typeof person === 'string') persons.set(person, index)
    },
    minimumIndex: () => minimum,
    isErased: (index, person) => index < before || (person !== undefined && index < (persons.get(person) ?? 0)),
  }
}

/** Returns a bound that a record sets. It concerns only the records before it. */
function boundIn(fact: unknown, index: number): number {
  return typeof fact === 'number' && Number.isSafeInteger(fact) ? Math.min(fact, index) : 0
}
