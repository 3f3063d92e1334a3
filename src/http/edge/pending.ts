/** Requests without a response, oldest first. */
export interface PendingList<Entry> {
  add(entry: Entry): void
  /** Returns false if it has been removed before. */
  remove(entry: Entry): boolean
  /** Returns a copy of the list. */
  entries(): readonly Entry[]
}

/** The neighbors of an entry. Only the list writes them. */
export interface Links<Entry> {
  previous: Entry | undefined
  next: Entry | undefined
  isPending: boolean
}

/**
 * A linked list and no Set: a Set whose entries come and go replaces its table all the time, and
 * each table keeps the next one alive, with what it contained, until the next full collection.
 */
export function createPendingList<Entry extends Links<Entry>>(): PendingList<Entry> {
  let oldest: Entry | undefined
  let newest: Entry | undefined

  return {
    add(entry) {
      entry.isPending = true
      entry.previous = newest
      if (newest) newest.next = entry
      else oldest = entry
      newest = entry
    },
    remove(entry) {
      if (!entry.isPending) return false
      const { previous, next } = entry
      if (previous) previous.next = next
      else oldest = next
      if (next) next.previous = previous
      else newest = previous
      // What was removed must not keep others alive.
      entry.previous = undefined
      entry.next = undefined
      entry.isPending = false
      return true
    },
    entries() {
      const entries: Entry[] = []
      for (let entry = oldest; entry; entry = entry.next) entries.push(entry)
      return entries
    },
  }
}
