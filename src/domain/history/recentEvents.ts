import type { PresentedEvent } from '../audit/presentEvent.ts'
import type { Deps } from '../deps.ts'
import { searchEvents } from './search.ts'

/** The latest events by and about a user, newest first. */
export interface RecentEvents {
  readonly recent_events: readonly PresentedEvent[]
}

const mostRecent = 10

export async function findRecentEvents(
  deps: Pick<Deps, 'database' | 'monotonicClock'>,
  userId: string,
): Promise<RecentEvents> {
  const search = { criteria: { of: userId }, order: 'newest' } as const
  const { events } = await searchEvents(deps, search, { limit: mostRecent, after: undefined })
  return { recent_events: events }
}
