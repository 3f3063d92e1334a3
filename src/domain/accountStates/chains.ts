/**
 * What the log says about the state of each account. A change takes one state away and adds
 * another, so the sum is the same in any order: two changes of an account may enter the log in
 * reverse order.
 */
export interface AccountChains {
  /** Adds the state of an account that begins. */
  begin(id: string, state: string): void
  /** Adds the state that an account had before the log covered it, unless it is covered already. */
  cover(id: string, state: string): void
  /** Adds a change, which the record at `index` has. `isCovered`: the log covers every account. */
  change(id: string, change: StateChangeAt, isCovered: boolean): void
  /** Begins again with what pruned records said about an account: see `carriedOf`. */
  carry(id: string, tokens: readonly string[]): void
  /** Adds a change that an older version recorded, without states. */
  lose(id: string): void
  /** Adds a change whose states could not be computed, because someone removed the salt. */
  tamper(id: string, index: number): void
  /** Begins again with the state that was accepted. Undefined: the account does not exist. */
  accept(id: string, state: string | undefined): void
  /** Returns the state of an account that has one, and nothing unexplained. */
  stateOf(id: string): string | undefined
  chainOf(id: string): Chain
  /** Returns what a pruning carries: flags and states, with `-` before those that are missing. */
  carriedOf(id: string): readonly string[]
  /** Returns the accounts that have anything else than one state. */
  unusual(): readonly string[]
  /** Returns the accounts that have one state. */
  existing(): IterableIterator<string>
  /** Returns chains that begin with what these have of some accounts. */
  copyOf(ids: readonly string[]): AccountChains
}

export interface StateChangeAt {
  readonly was: string
  /** Undefined: the account is deleted. */
  readonly is: string | undefined
  readonly index: number
}

export interface Chain {
  /** `lost`: a change had no state. `unknown`: the log has no record of the account. */
  readonly kind: 'states' | 'lost' | 'unknown'
  /** `unseen`: its beginning is not in the log. `uncovered`: and did not have to be. */
  readonly origin: 'begun' | 'unseen' | 'uncovered'
  /** States that no later change took away. More than one only if someone else changed it. */
  readonly current: readonly string[]
  /** States before a change that no record has led to, with the index of the change. */
  readonly missing: readonly { readonly state: string; readonly index: number }[]
}

/** How often a state was added minus how often it was taken away, and the first index of either. */
type Sum = Map<string, { readonly count: number; readonly index: number }>

interface Entry {
  readonly origin: Chain['origin']
  readonly isLost: boolean
  readonly sum: Sum
}

/** Stands for the state before a change whose record could not have it. */
export const withoutState = '!'
/** The flags of what is carried. */
const flags = { lost: '-', unseen: '?', uncovered: '??' }
/** States of each kind that are carried, so that an entry fits into a record. */
const maxCarried = 20
/** The index of what is in the log from the beginning. */
const nowhere = -1

export function isFlag(token: string): boolean {
  return Object.values(flags).includes(token)
}

export function createChains(): AccountChains {
  /** Most accounts have one state, and begin in the log. */
  const single = new Map<string, string>()
  const entries = new Map<string, Entry>()
  /** Accounts whose only state was covered or accepted, and not changed since. */
  const fixed = new Set<string>()

  const entryOf = (id: string): Entry | undefined => {
    const state = single.get(id)
    return state === undefined ? entries.get(id) : begunWith([[state, 1]])
  }
  const set = (id: string, entry: Entry) => {
    single.delete(id)
    entries.delete(id)
    fixed.delete(id)
    const [[state, total] = ['', undefined]] = entry.sum
    if (entry.origin === 'begun' && !entry.isLost && entry.sum.size === 1 && total?.count === 1) single.set(id, state)
    // An account that began elsewhere, and is as it was there, is as unknown as before.
    else if (entry.origin === 'begun' || entry.isLost || entry.sum.size > 0) entries.set(id, entry)
  }
  const fix = (id: string, state: string) => {
    set(id, begunWith([[state, 1]]))
    fixed.add(id)
  }
  const carriedOf = (id: string) => tokensOf(entryOf(id))

  return {
    begin: (id, state) => {
      const entry = entryOf(id)
      const sum = entry?.isLost ? new Map() : entry?.sum
      set(id, { origin: 'begun', isLost: false, sum: added(sum, [[state, 1]], nowhere) })
    },
    cover: (id, state) => {
      const entry = entryOf(id)
      if (!entry || entry.isLost) fix(id, state)
    },
    change: (id, { was, is, index }, isCovered) => {
      // A change from before the state that was covered or accepted, and that entered the log after
      // it.
      if (fixed.has(id) && single.get(id) === is) return
      const entry = entryOf(id)
      if (entry?.isLost) return set(id, begunWith(is === undefined ? [] : [[is, 1]]))
      const origin = entry?.origin ?? (isCovered ? 'unseen' : 'uncovered')
      const changes: Changes = is === undefined ? [[was, -1]] : [[was, -1] as const, [is, 1] as const]
      set(id, { origin, isLost: false, sum: added(entry?.sum, changes, index) })
    },
    carry: (id, tokens) => set(id, entryIn(tokens)),
    tamper: (id, index) => {
      const { origin, sum } = entryOf(id) ?? begunWith([])
      set(id, { origin, isLost: false, sum: added(sum, [[withoutState, -1]], index) })
    },
    lose: (id) => set(id, { origin: 'uncovered', isLost: true, sum: new Map() }),
    accept: (id, state) => (state === undefined ? set(id, begunWith([])) : fix(id, state)),
    carriedOf,
    stateOf: (id) => single.get(id),
    chainOf: (id) => chainIn(entryOf(id)),
    unusual: () => [...entries.keys()],
    existing: () => single.keys(),
    copyOf: (ids) => {
      const copy = createChains()
      for (const id of ids) if (entryOf(id)) copy.carry(id, carriedOf(id))
      for (const id of ids) if (fixed.has(id)) copy.accept(id, single.get(id))
      return copy
    },
  }
}

type Changes = readonly (readonly [string, 1 | -1])[]

function added(sum: Sum = new Map(), changes: Changes, index: number): Sum {
  const result: Sum = new Map(sum)
  for (const [state, change] of changes) {
    const before = result.get(state)
    const count = (before?.count ?? 0) + change
    if (count === 0) result.delete(state)
    else result.set(state, { count, index: before?.index ?? index })
  }
  return result
}

function begunWith(changes: Changes): Entry {
  return { origin: 'begun', isLost: false, sum: added(undefined, changes, nowhere) }
}

function tokensOf(entry: Entry | undefined): readonly string[] {
  if (!entry || entry.isLost) return [flags.lost]
  const flag = entry.origin === 'begun' ? [] : [flags[entry.origin]]
  const states = [...entry.sum].flatMap(([state, { count }]) =>
    Array.from({ length: Math.abs(count) }, () => (count < 0 ? `-${state}` : state)),
  )
  const isMissing = (state: string) => state.startsWith('-')
  const current = states.filter((state) => !isMissing(state)).slice(0, maxCarried)
  return [...flag, ...current, ...states.filter(isMissing).slice(0, maxCarried)]
}

function entryIn(tokens: readonly string[]): Entry {
  const states = tokens.filter((token) => !isFlag(token))
  const signed = states.map((state): Changes[number] => (state.startsWith('-') ? [state.slice(1), -1] : [state, 1]))
  const origin = tokens.includes(flags.unseen) ? 'unseen' : tokens.includes(flags.uncovered) ? 'uncovered' : 'begun'
  return { origin, isLost: tokens.includes(flags.lost), sum: added(undefined, signed, nowhere) }
}

function chainIn(entry: Entry | undefined): Chain {
  const sums = entry && !entry.isLost ? [...entry.sum] : []
  return {
    kind: entry ? (entry.isLost ? 'lost' : 'states') : 'unknown',
    origin: entry?.origin ?? 'unseen',
    current: sums.filter(([, { count }]) => count > 0).map(([state]) => state),
    missing: sums.filter(([, { count }]) => count < 0).map(([state, { index }]) => ({ state, index })),
  }
}
