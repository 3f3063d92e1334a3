import { type AccountChains, createChains } from '../accountStates/chains.ts'
import { entryIn, idOf } from '../accountStates/entries.ts'
import { isState } from '../accountStates/state.ts'
import type { ParsedLeaf } from '../audit/leaf.ts'

/** Types of records that say what a change made of the account that they are about. */
const changeTypes: readonly string[] = [
  'administrator.seeded',
  'changes.repeated',
  'password.changed',
  'password.rehashed',
  'password.reset',
  'user.changed',
  'user.created',
  'user.deleted',
  'user.disabled',
  'user.enabled',
  'user.imported',
  'user.roles_changed',
]

/** Types of records that say something about the states of accounts. */
export const stateTypes = [...changeTypes, 'audit.accepted', 'audit.baseline']

export interface CollectedStates {
  readonly chains: AccountChains
  /** Adds a record. Returns the accounts that it is about. */
  add(leaf: ParsedLeaf, index: number): readonly string[]
  /** Adds what a pruning says that the records below `start` said. */
  addCarried(leaf: ParsedLeaf, start: number): void
  /** Returns how many records of the pruning up to `start` were added. */
  carried(): number
  /** Whether the log covers every account that this service knows. */
  isComplete(): boolean
  /** Hashes of the salt. One, unless someone changed it. */
  readonly salts: ReadonlySet<string>
}

export interface Collection {
  /** What is known already. */
  readonly chains?: AccountChains | undefined
  readonly isComplete?: boolean | undefined
  /** Whether to collect the states of an account. The default is all. */
  readonly includes?: ((id: string) => boolean) | undefined
}

/** Collects the states of accounts from records, by index. */
export function collectStates(collection: Collection = {}): CollectedStates {
  const { chains = createChains(), includes = () => true } = collection
  const salts = new Set<string>()
  const carriedBelow = new Map<string, number>()
  let isComplete = collection.isComplete === true
  let carried = 0

  const entriesIn = ({ facts: { accounts } }: ParsedLeaf) => {
    if (!Array.isArray(accounts)) return []
    return accounts.filter((entry) => includes(idOf(entry))).flatMap((entry) => entryIn(entry) ?? [])
  }
  const addBaseline = (leaf: ParsedLeaf, take: (id: string, states: readonly string[]) => void) => {
    const { facts } = leaf
    const entries = entriesIn(leaf)
    if (typeof facts.salt === 'string') salts.add(facts.salt)
    for (const { id, states } of entries) take(id, states)
    if (facts.complete === true) isComplete = true
    return entries.map(({ id }) => id)
  }
  const addFound = (leaf: ParsedLeaf): readonly string[] => {
    const { of } = leaf.facts
    if (of === 'import') return addBaseline(leaf, (id, [state]) => state !== undefined && chains.begin(id, state))
    // What SQL made after the baseline does not become a part of it.
    if (of === 'database' && !isComplete)
      return addBaseline(leaf, (id, [state]) => state !== undefined && chains.cover(id, state))
    return of === 'pruning' ? entriesIn(leaf).map(({ id }) => id) : []
  }
  const addChange = ({ state }: ParsedLeaf, id: string, index: number) => {
    const was = isState(state?.was) ? state.was : undefined
    const is = isState(state?.is) ? state.is : undefined
    if (state?.missing === true) chains.tamper(id, index)
    else if (was !== undefined) chains.change(id, { was, is, index }, isComplete)
    else if (is !== undefined) chains.begin(id, is)
    else chains.lose(id)
  }

  return {
    chains,
    add: (leaf, index) => {
      const { type, about, state } = leaf
      if (type === 'audit.baseline') return addFound(leaf)
      if (about?.kind !== 'user' || about.id === undefined || !includes(about.id)) return []
      if (type === 'audit.accepted') chains.accept(about.id, isState(state?.is) ? state.is : undefined)
      else if (changeTypes.includes(type)) addChange(leaf, about.id, index)
      return [about.id]
    },
    addCarried: (leaf, start) => {
      const { of, below } = leaf.facts
      if (of !== 'pruning' || typeof below !== 'number' || below > start) return
      if (below === start) carried++
      // The record of a later pruning may be earlier in the log.
      addBaseline(leaf, (id, states) => {
        if ((carriedBelow.get(id) ?? 0) > below) return
        carriedBelow.set(id, below)
        chains.carry(id, states)
      })
    },
    carried: () => carried,
    isComplete: () => isComplete,
    salts,
  }
}
