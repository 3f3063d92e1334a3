import { AppError } from '../error.ts'

/**
 * Lookups that travel together: what arrives while a batch is in flight goes out in the next one,
 * equal keys once (docs/decisions/0021).
 */
export interface Batch<Key, Row> {
  /**
   * Looks up a key by a query that starts after the call. Undefined if there is none. Rejects as
   * the query of its batch does.
   */
  find(key: Key): Promise<Row | undefined>
}

export interface BatchQuery<Key, Row> {
  /** Returns the same text for equal keys only. */
  readonly identityOf: (key: Key) => string
  /**
   * Returns the rows found, with the position of each one's key. `limit` is in milliseconds.
   */
  readonly query: (keys: readonly Key[], limit: number) => Promise<readonly Positioned<Row>[]>
}

export interface Positioned<Row> {
  readonly position: number
  readonly row: Row
}

interface Lookup<Key, Row> {
  readonly key: Key
  readonly arrivedAt: number
  readonly result: PromiseWithResolvers<Row | undefined>
}

/** One is computed while the next one is on its way. */
const maxInFlight = 2
/** Lookups that are worth a second query in flight: each query costs as much as several lookups. */
const leastForSecond = 8
const maxSize = 256
/** Milliseconds for a lookup, the wait included, and what a batch gets at least. */
const lookupLimit = 4000
const leastLimit = 1000

export function createBatch<Key, Row>(
  { identityOf, query }: BatchQuery<Key, Row>,
  now: () => number = () => performance.now(),
): Batch<Key, Row> {
  // A new one for each batch: a Map whose entries come and go keeps what it contained alive for
  // long.
  let waiting = new Map<string, Lookup<Key, Row>>()
  let inFlight = 0
  let isScheduled = false

  function find(key: Key): Promise<Row | undefined> {
    const identity = identityOf(key)
    const equal = waiting.get(identity)
    if (equal) return equal.result.promise
    const lookup = { key, arrivedAt: now(), result: Promise.withResolvers<Row | undefined>() }
    waiting.set(identity, lookup)
    schedule()
    return lookup.result.promise
  }

  /** Requests of the same turn of the event loop travel together. */
  function schedule(): void {
    const least = inFlight === 0 ? 1 : leastForSecond
    if (isScheduled || inFlight >= maxInFlight || waiting.size < least) return
    isScheduled = true
    setImmediate(send)
  }

  function send(): void {
    isScheduled = false
    const lookups = takeWaiting()
    if (lookups.length > 0) {
      inFlight++
      void complete(lookups).finally(() => {
        inFlight--
        schedule()
      })
    }
    schedule()
  }

  function takeWaiting(): readonly Lookup<Key, Row>[] {
    const taken: Lookup<Key, Row>[] = []
    const rest = new Map<string, Lookup<Key, Row>>()
    for (const [identity, lookup] of waiting) {
      if (taken.length === maxSize) rest.set(identity, lookup)
      else if (now() - lookup.arrivedAt < lookupLimit) taken.push(lookup)
      else lookup.result.reject(new AppError('unavailable', 'The database did not respond in time.'))
    }
    waiting = rest
    return taken
  }

  async function complete(lookups: readonly Lookup<Key, Row>[]): Promise<void> {
    const age = now() - (lookups[0]?.arrivedAt ?? now())
    try {
      const found = await query(
        lookups.map(({ key }) => key),
        Math.max(leastLimit, lookupLimit - age),
      )
      const rows = new Array<Row | undefined>(lookups.length)
      for (const { position, row } of found) rows[position] = row
      for (const [position, { result }] of lookups.entries()) result.resolve(rows[position])
    } catch (error) {
      if (lookups.length > 1 && isOfOneKey(error)) for (const lookup of lookups) await complete([lookup])
      else for (const { result } of lookups) result.reject(error)
    }
  }

  return { find }
}

/** One key that the database rejects must not harm the others. */
function isOfOneKey(error: unknown): boolean {
  return !(error instanceof AppError) || error.code === 'internal'
}
