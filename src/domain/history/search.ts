import { collectable, type FoundEvent } from '../../db/audit/search.ts'
import {
  type EventCriteria,
  narrowingOf,
  readsByTime,
  type ScanIndex,
  type ScanOrder,
  type ScanPosition,
} from '../../db/audit/searchSql.ts'
import { AppError } from '../../error.ts'
import { type PresentedEvent, presentEvent } from '../audit/presentEvent.ts'
import type { Deps } from '../deps.ts'

export type { EventCriteria, ScanOrder, ScanPosition }

export interface EventSearch {
  readonly criteria: EventCriteria
  /** By index, or by time if the criteria have one. */
  readonly order: ScanOrder
}

export interface EventPage {
  readonly events: readonly PresentedEvent[]
  /** Cursor of the next page. Undefined on the last page. */
  readonly next: ScanPosition | undefined
}

type SearchDeps = Pick<Deps, 'database' | 'monotonicClock'>

/** Milliseconds after which a page that few records match ends early. */
const patience = 2000

/**
 * Lists one page of the audit log. `after` is the `next` of the previous page. A page may have
 * fewer records than `limit`, even none, and still have a next one.
 */
export async function searchEvents(
  deps: SearchDeps,
  search: EventSearch,
  { limit, after }: { readonly limit: number; readonly after: ScanPosition | undefined },
): Promise<EventPage> {
  const by = await chooseIndex(deps, search.criteria)
  const { found, next } = await readPage(deps, search, by, { limit: limit + 1, after })
  const events = found.slice(0, limit)
  return { events: events.map(presentEvent), next: found.length > limit ? events.at(-1)?.at : next }
}

/** Yields pages of the matching records, `most` at most, that are in the log at the first call. */
export async function* eachPage(
  deps: SearchDeps,
  { criteria, order }: EventSearch,
  {
    size,
    most = Number.POSITIVE_INFINITY,
    after,
  }: { readonly size: number; readonly most: number | undefined; readonly after: ScanPosition | undefined },
): AsyncGenerator<readonly PresentedEvent[], void> {
  const head = await deps.database.audit.nextEventIndex()
  const bounded = { criteria: { ...criteria, below: Math.min(criteria.below ?? head, head) }, order }
  const by = await chooseIndex(deps, bounded.criteria)
  let position = after
  let left = most
  do {
    const { found, next } = await readPage(deps, bounded, by, { limit: Math.min(size, left), after: position })
    yield found.map(presentEvent)
    position = next
    left -= found.length
  } while (position && left > 0)
}

/** Throws `invalid_fields` for a position of a list in the other order. */
export function requirePositionOf({ since, until }: EventCriteria, position: ScanPosition | undefined): void {
  if (position === undefined || (position.time !== null) === readsByTime({ since, until })) return
  const message = 'must be the `next` value of a page of this list'
  throw new AppError('invalid_fields', `The field after ${message}.`, { fields: [{ field: 'after', message }] })
}

async function readPage(
  { database, monotonicClock }: SearchDeps,
  { criteria, order }: EventSearch,
  by: ScanIndex,
  { limit, after }: { readonly limit: number; readonly after: ScanPosition | undefined },
): Promise<{ readonly found: readonly FoundEvent[]; readonly next: ScanPosition | undefined }> {
  const started = monotonicClock()
  const found: FoundEvent[] = []
  let position = after
  do {
    const scan = { criteria, by, order, after: position, limit: limit - found.length }
    const { events, end } = await database.audit.scanEvents(scan)
    found.push(...events)
    position = end
  } while (position && found.length < limit && monotonicClock() - started < patience)
  return { found, next: position }
}

/**
 * Chooses the criterion that leaves the fewest records. In the order of time, a few are collected
 * and sorted; otherwise the times are read.
 */
async function chooseIndex({ database }: SearchDeps, criteria: EventCriteria): Promise<ScanIndex> {
  const isByTime = readsByTime(criteria)
  const narrowing = narrowingOf(criteria)
  const [only = 'index'] = narrowing
  if (narrowing.length <= 1 && !isByTime) return only
  const hasRange = isByTime && (criteria.from !== undefined || criteria.below !== undefined)
  const countable = [...narrowing, ...(hasRange ? (['index'] as const) : [])]
  const counts = await Promise.all(
    countable.map(async (by) => ({ by, count: await database.audit.countEvents(criteria, by) })),
  )
  const [fewest] = counts.toSorted((one, other) => one.count - other.count)
  return !fewest || (isByTime && fewest.count > collectable) ? 'time' : fewest.by
}
