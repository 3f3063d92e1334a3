import type { Deps } from '../deps.ts'
import { searchEvents } from './search.ts'

const changes = ['password.changed', 'password.reset'] as const

/** Returns when a user's password was last changed or set, in ISO 8601, if the audit log has it. */
export async function findPasswordChange(
  deps: Pick<Deps, 'database' | 'monotonicClock'>,
  userId: string,
): Promise<string | undefined> {
  const pages = await Promise.all(
    changes.map((type) =>
      searchEvents(deps, { criteria: { about: userId, type }, order: 'newest' }, { limit: 1, after: undefined }),
    ),
  )
  const times = pages.flatMap(({ events }) => events.map(({ time }) => time))
  return times.sort().at(-1)
}
