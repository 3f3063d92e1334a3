import type { ClientFailure, FailureCount, NewFailure } from '../db/statements/throttle.ts'

/** Failed sign-ins that the database could not count, counted in this process instead. */
export interface UncountedFailures {
  add(failure: NewFailure, now: Date): void
  /** Counts as `insertClientFailure` does. */
  addOfClient(failure: ClientFailure, now: Date): void
  /** Returns the unexpired counts of these keys. */
  find(keys: readonly string[], now: Date): FailureCount[]
  /** Forgets the failures of a client or device. Its account then has one network less. */
  forget(key: string): void
}

interface Uncounted extends FailureCount {
  /** For a client: the key of its account. */
  readonly account?: string
}

/** The number of keys kept. The oldest ones are forgotten first. */
const maxKeys = 10_000

export function createUncountedFailures(): UncountedFailures {
  const counts = new Map<string, Uncounted>()
  const unexpired = (key: string, now: Date) => {
    const count = counts.get(key)
    return count && count.forgotten_at > now ? count : undefined
  }
  const add = ({ key, kind, forgottenAt }: NewFailure, now: Date, account?: string) => {
    const before = unexpired(key, now)
    // The window of a network, which many people may share, ends as planned.
    const end = kind === 'network' ? before?.forgotten_at : undefined
    // Deleted first, so that the map is in the order of the latest failure.
    counts.delete(key)
    counts.set(key, {
      kind,
      failures: (before?.failures ?? 0) + 1,
      last_failed_at: now,
      forgotten_at: end ?? forgottenAt,
      ...(account === undefined ? {} : { account }),
    })
    const [oldest] = counts.keys()
    if (counts.size > maxKeys && oldest !== undefined) counts.delete(oldest)
  }
  return {
    add,
    addOfClient: ({ client, account, network }, now) => {
      if (!unexpired(client.key, now)) add(account, now)
      add(client, now, account.key)
      if (network) add(network, now)
    },
    find: (keys, now) => keys.flatMap((key) => unexpired(key, now) ?? []),
    forget: (key) => {
      const { account = '' } = counts.get(key) ?? {}
      const networks = counts.get(account)
      if (networks) counts.set(account, { ...networks, failures: networks.failures - 1 })
      counts.delete(key)
    },
  }
}

/** Returns the sum of both counts of each kind. */
export function sumOf(counted: readonly FailureCount[], uncounted: readonly FailureCount[]): FailureCount[] {
  const byKind = new Map(counted.map((count) => [count.kind, count]))
  const isInBoth = byKind.has('client') && uncounted.some(({ kind }) => kind === 'client')
  for (const count of uncounted) {
    const other = byKind.get(count.kind)
    const twice = count.kind === 'account' && isInBoth ? 1 : 0
    byKind.set(count.kind, other ? plus(other, count, twice) : count)
  }
  return [...byKind.values()]
}

/** `twice`: the networks that are in both. */
function plus(one: FailureCount, other: FailureCount, twice: number): FailureCount {
  // An unreadable time stays, since it locks out.
  const later = (first: Date, second: Date) => (Number.isNaN(first.getTime()) || first > second ? first : second)
  return {
    kind: one.kind,
    failures: one.failures + other.failures - twice,
    last_failed_at: later(one.last_failed_at, other.last_failed_at),
    forgotten_at: later(one.forgotten_at, other.forgotten_at),
  }
}
