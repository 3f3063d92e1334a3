/**
 * What the log says of the state of each account. A change takes one state away and adds another,
 * so that the sum is right in whatever order records are added: two changes of an account may enter
 * the log in the reverse order.
 */
export interface AccountChains {
  /** Adds the state of an account that begins. */
  begin(id: string, state: string): void
  /** Adds what was found before the log covers an account, unless it does. */
  cover(id: string, state: string): void
  /** Adds a change, which the record at `index` says. `isCovered`: the log must know the account. */
  change(id: string, was: string, is: string | undefined, index: number, isCovered: boolean): void
  /** Begins again with what pruned records said of an account: see `carriedOf`. */
  carry(id: string, states: readonly string[]): void
  /** Forgets an account whose change says no state. */
  lose(id: string): void
  /** Begins again with the state that was accepted. Undefined: the account does not exist. */
  accept(id: string, state: string | undefined): void
  /** Returns the state of an account that has one, and nothing unexplained. */
  stateOf(id: string): string | undefined
  chainOf(id: string): Chain
  /** Returns what is to be carried of an account: its states, with `-` those that a change took away too early. */
  carriedOf(id: string): readonly string[]
  /** Returns the accounts in which changes do not follow from one another. */
  broken(): readonly string[]
  /** Returns the accounts that have one state. */
  existing(): IterableIterator<string>
  /** Returns chains that begin with what these say of some accounts. */
  copyOf(ids: readonly string[]): AccountChains
}

export interface Chain {
  /** `lost`: a change said no state. `unknown`: the log has no record of the account. */
  readonly kind: 'states' | 'lost' | 'unknown'
  /** States that no later change took away. One, unless the chain is broken; none if it was deleted. */
  readonly current: readonly string[]
  /** States added, less those taken away: 1 for an account that began and exists. */
  readonly sum: number
  /** States before a change that no record has led to, with the index of the change. */
  readonly missing: readonly { readonly state: string; readonly index: number }[]
}

/** How often a state was added, less how often it was taken away, and where first. */
type Sum = Map<string, { readonly count: number; readonly index: number }>

const deleted = ''
const lost = '-'
/** The index of what is in the log from the beginning. */
const nowhere = -1

export function createChains(): AccountChains {
  const store = createSums()
  const { set, add, sumOf, isKnown, isLost } = store
  const carriedOf = (id: string): readonly string[] => (isLost(id) ? [lost] : [...sumOf(id)].flatMap(signedStates))

  return {
    begin: (id, state) => (isLost(id) ? set(id, state) : add(id, [[state, 1]])),
    cover: (id, state) => {
      if (!isKnown(id)) set(id, state)
    },
    change: (id, was, is, index, isCovered) => {
      const isFirst = isLost(id) || !(isKnown(id) || isCovered)
      if (isFirst) set(id, is ?? deleted)
      else if (is === undefined) add(id, [[was, -1]], index)
      else add(id, [[was, -1] as const, [is, 1] as const], index)
    },
    carry: (id, states) => {
      set(id, states.includes(lost) ? lost : deleted)
      if (!isLost(id)) add(id, states.map(signOf))
    },
    lose: (id) => set(id, lost),
    accept: (id, state) => set(id, state ?? deleted),
    carriedOf,
    stateOf: store.only,
    chainOf: (id) => {
      if (isKnown(id) && !isLost(id)) return chainIn(sumOf(id))
      return { kind: isKnown(id) ? 'lost' : 'unknown', current: [], sum: 0, missing: [] }
    },
    broken: store.broken,
    existing: store.existing,
    copyOf: (ids) => {
      const copy = createChains()
      for (const id of ids) if (isKnown(id)) copy.carry(id, carriedOf(id))
      return copy
    },
  }
}

/** Sums of the states of each account. */
function createSums() {
  /** Most accounts have one state. */
  const single = new Map<string, string>()
  const sums = new Map<string, Sum>()

  const sumOf = (id: string): Sum => {
    const state = single.get(id)
    if (state === undefined || state === deleted || state === lost) return new Map(sums.get(id))
    return new Map([[state, { count: 1, index: nowhere }]])
  }
  const set = (id: string, state: string) => {
    sums.delete(id)
    single.set(id, state)
  }
  return {
    sumOf,
    set,
    add: (id: string, changes: readonly (readonly [string, 1 | -1])[], index = nowhere) => {
      const sum = sumOf(id)
      for (const [state, change] of changes) {
        const before = sum.get(state)
        const count = (before?.count ?? 0) + change
        if (count === 0) sum.delete(state)
        else sum.set(state, { count, index: before?.index ?? index })
      }
      const [[state, total] = [deleted, undefined]] = sum
      if (sum.size === 0 || (sum.size === 1 && total?.count === 1)) return set(id, state)
      single.delete(id)
      sums.set(id, sum)
    },
    only: (id: string) => {
      const state = single.get(id)
      return state === deleted || state === lost ? undefined : state
    },
    isKnown: (id: string) => single.has(id) || sums.has(id),
    isLost: (id: string) => single.get(id) === lost,
    broken: () => [...sums.keys()],
    existing: function* () {
      for (const [id, state] of single) if (state !== deleted && state !== lost) yield id
    },
  }
}

function signedStates([state, { count }]: [string, { readonly count: number }]): readonly string[] {
  return Array.from({ length: Math.abs(count) }, () => (count < 0 ? `-${state}` : state))
}

function signOf(signed: string): readonly [string, 1 | -1] {
  return signed.startsWith('-') ? [signed.slice(1), -1] : [signed, 1]
}

function chainIn(sum: Sum): Chain {
  const entries = [...sum]
  return {
    kind: 'states',
    current: entries.filter(([, { count }]) => count > 0).map(([state]) => state),
    sum: entries.reduce((total, [, { count }]) => total + count, 0),
    missing: entries.filter(([, { count }]) => count < 0).map(([state, { index }]) => ({ state, index })),
  }
}
