import type { ListedCounter } from '../../db/statements/throttle.ts'
import { AppError } from '../../error.ts'
import type { Deps } from '../deps.ts'
import { record } from '../events.ts'
import { requireUser } from '../users/users.ts'
import { networkOf } from './network.ts'
import { blockedUntil, free, networkFree } from './throttle.ts'

/** Somebody or something that has to wait before the next attempt to sign in. */
export interface Block
  extends Pick<ListedCounter, 'id' | 'kind' | 'username' | 'network' | 'failures' | 'last_failed_at'> {
  readonly blocked_until: Date
}

export interface BlockList {
  readonly blocks: readonly Block[]
  /** What the next page begins behind; undefined at the end. */
  readonly next: { readonly lastFailedAt: Date; readonly id: string } | undefined
}

/** One page of those who have to wait now, the latest failure first. A page may hold less than `limit` and have a next one. */
export async function listBlocks(
  { database, clock }: Deps,
  { limit, after }: { readonly limit: number; readonly after: BlockList['next'] },
): Promise<BlockList> {
  const now = new Date(clock())
  const found = await database.attempts.listCounters({ now, networkFree, free, after, limit: limit + 1 })
  const page = found.slice(0, limit)
  const last = page.at(-1)
  return {
    blocks: page
      .map((counter) => ({ ...counter, blocked_until: blockedUntil(counter, counter.spread) }))
      .filter((block) => block.blocked_until > now),
    next: found.length > limit && last ? { lastFailedAt: last.last_failed_at, id: last.id } : undefined,
  }
}

/** Lifts one block, and forgets the failures behind it. Throws `not_found`. */
export async function liftBlock(deps: Deps, by: string, id: string): Promise<void> {
  if (!(await deps.database.attempts.deleteCounter(id))) throw new AppError('not_found', 'There is no such block.')
  record(deps, { event: 'block.lifted', by, block: id, lifted: 1 })
}

/** Lifts every block of a user, on whatever network. Throws `not_found` where there is no such user. */
export async function liftBlocksOfUser(deps: Deps, by: string, id: string): Promise<number> {
  const { username } = await requireUser(deps, id)
  const lifted = await deps.database.attempts.deleteCountersOfUser(username)
  record(deps, { event: 'block.lifted', by, username, lifted })
  return lifted
}

/** Lifts the block of an address's network, and of each account from there. Throws `not_found` where nothing was counted. */
export async function liftBlocksOfNetwork(deps: Deps, by: string, address: string): Promise<number> {
  const network = networkOf(address)
  const lifted = await deps.database.attempts.deleteCountersOfNetwork(network)
  if (lifted === 0)
    throw new AppError('not_found', 'There is no user of that name, and no network with failed sign-ins.')
  record(deps, { event: 'block.lifted', by, network, lifted })
  return lifted
}
