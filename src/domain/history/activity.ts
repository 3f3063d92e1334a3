import type { PresentedEvent, PresentedParty } from '../audit/presentEvent.ts'
import type { Deps } from '../deps.ts'
import { type ScanPosition, searchEvents } from './search.ts'

/**
 * A record as the user it concerns may see it. Its index would tell how much the service is used.
 */
export type Activity = Omit<PresentedEvent, 'index'>

export interface ActivityPage {
  readonly activities: readonly Activity[]
  /** Cursor of the next page. Undefined on the last page. */
  readonly next: ScanPosition | undefined
}

/** Facts about a user that another actor changed. Others may reveal something about the actor. */
const visibleFacts: readonly string[] = ['fields', 'roles', 'is_active', 'ended', 'lifted']

/** Lists one page of what a user did and what was done to their account, newest first. */
export async function listActivity(
  deps: Pick<Deps, 'database' | 'monotonicClock'>,
  userId: string,
  page: { readonly limit: number; readonly after: ScanPosition | undefined },
): Promise<ActivityPage> {
  const { events, next } = await searchEvents(deps, { criteria: { of: userId }, order: 'newest' }, page)
  return { activities: events.map((event) => activityOf(event, userId)), next }
}

/** Of another actor, only the kind and the username remain. */
export function activityOf({ index: _, ...event }: PresentedEvent, userId: string): Activity {
  if (event.by.id === userId) return event
  const facts = Object.fromEntries(Object.entries(event.facts).filter(([name]) => visibleFacts.includes(name)))
  return { ...event, by: strangerOf(event.by), session: null, request: null, facts }
}

function strangerOf({ kind, username, erased }: PresentedParty): PresentedParty {
  return { kind, id: null, username, full_name: null, address: null, user_agent: null, erased }
}
