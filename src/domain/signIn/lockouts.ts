import type { ListedLockout } from '../../db/statements/lockouts.ts'
import { AppError } from '../../error.ts'
import { trimBlanks } from '../../userFields.ts'
import { audited } from '../audit/audited.ts'
import { partyOf } from '../audit/record.ts'
import type { Deps } from '../deps.ts'
import { networkOf } from '../network.ts'
import { requireUser } from '../users/users.ts'
import { freeFailures, freeNetworkFailures, lockedUntil } from './throttle.ts'

/** A user, network or device that must wait before the next sign-in. */
export interface Lockout
  extends Pick<ListedLockout, 'id' | 'kind' | 'username' | 'network' | 'failures' | 'last_failed_at'> {
  readonly blocked_until: Date
}

export interface LockoutList {
  readonly lockouts: readonly Lockout[]
  /** Where the next page starts. Undefined on the last page. */
  readonly next: { readonly lastFailedAt: Date; readonly id: string } | undefined
}

/**
 * Lists one page of active lockouts, latest failure first. A page may have fewer than `limit`
 * entries and a next one.
 */
export async function listLockouts(
  { database, clock }: Deps,
  { limit, after }: { readonly limit: number; readonly after: LockoutList['next'] },
): Promise<LockoutList> {
  const now = new Date(clock())
  const found = await database.lockouts.listLockouts({
    now,
    networkFree: freeNetworkFailures,
    free: freeFailures,
    after,
    limit: limit + 1,
  })
  const page = found.slice(0, limit).map((row) => withReadableTime(row, now))
  const last = page.at(-1)
  return {
    lockouts: page
      .map((counter) => ({ ...counter, blocked_until: lockedUntil(counter, now, counter.spread) }))
      .filter((block) => block.blocked_until > now),
    next: found.length > limit && last ? { lastFailedAt: last.last_failed_at, id: last.id } : undefined,
  }
}

/** A row whose time is `-infinity`, or in an unknown format, can still be listed and lifted. */
function withReadableTime(row: ListedLockout, now: Date): ListedLockout {
  return Number.isNaN(row.last_failed_at.getTime()) ? { ...row, last_failed_at: now } : row
}

/** Lifts one lockout and deletes its failures. Throws `not_found`. */
export async function liftLockout(deps: Deps, by: string, id: string): Promise<void> {
  const isLifted = await audited(
    deps,
    ({ lockouts }) => lockouts.deleteLockout(id),
    (isDeleted) => (isDeleted ? [{ event: { event: 'block.lifted', by, block: id, lifted: 1 } }] : []),
  )
  if (!isLifted) throw new AppError('not_found', 'Block not found.')
}

/** Lifts every lockout of a user on all networks. Throws `not_found` if there is no such user. */
export async function liftLockoutsOfUser(deps: Deps, by: string, id: string): Promise<number> {
  const user = await requireUser(deps, id)
  const { username } = user
  return audited(
    deps,
    ({ lockouts }) => lockouts.deleteFailuresOfUser(trimBlanks(username)),
    (lifted) => [{ event: { event: 'block.lifted', by, username, lifted }, about: partyOf(user) }],
  )
}

/**
 * Lifts the lockouts of a network and of all users on it. Throws `not_found` if it has no failures.
 */
export async function liftLockoutsOfNetwork(deps: Deps, by: string, address: string): Promise<number> {
  const network = networkOf(address)
  const lifted = await audited(
    deps,
    ({ lockouts }) => lockouts.deleteFailuresOfNetwork(network),
    (count) => (count > 0 ? [{ event: { event: 'block.lifted', by, network, lifted: count } }] : []),
  )
  if (lifted === 0)
    throw new AppError(
      'not_found',
      'No user has this name, and no sign-in failures are recorded for a network of this address.',
    )
  return lifted
}
