/** The latest entries, by key. Older ones are forgotten. */
export interface RecentEntries<Value> {
  /** Replaces the entry with this key. */
  set(key: string, value: Value): void
  get(key: string): Value | undefined
  delete(key: string): void
  /** Returns the entries, oldest first, after forgetting those that are too old. */
  list(): readonly (Value & { readonly at: number })[]
}

export interface RecentLimits {
  /** Milliseconds. */
  readonly age: number
  readonly count: number
}

export function createRecentEntries<Value extends object>(
  { age, count }: RecentLimits,
  now: () => number,
): RecentEntries<Value> {
  /** In the order of insertion. */
  const entries = new Map<string, Value & { readonly at: number }>()

  function prune(): void {
    for (const [oldest, { at }] of entries) {
      if (entries.size <= count && now() - at <= age) return
      entries.delete(oldest)
    }
  }

  return {
    set: (key, value) => {
      entries.delete(key)
      entries.set(key, { ...value, at: now() })
      prune()
    },
    get: (key) => {
      prune()
      return entries.get(key)
    },
    delete: (key) => {
      entries.delete(key)
    },
    list: () => {
      prune()
      return [...entries.values()]
    },
  }
}
