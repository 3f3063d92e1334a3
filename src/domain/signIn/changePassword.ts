import type { User } from '../../db/statements/users.ts'
import { AppError } from '../../error.ts'
import { auditedAccounts } from '../accountStates/auditedAccounts.ts'
import { recordRefusal } from '../audit/audited.ts'
import { partyOf } from '../audit/record.ts'
import type { Deps } from '../deps.ts'
import { hashInSlot } from '../passwords/hashPassword.ts'
import { requireNotAborted } from '../passwords/hashQueue.ts'
import { normalizePassword } from '../passwords/normalize.ts'
import { requireAcceptablePassword } from '../passwords/policy.ts'
import { verifyPassword } from '../passwords/verifyPassword.ts'
import type { Principal } from '../sessions/sessions.ts'
import { reportingFailure } from './sideEffects.ts'
import {
  countSessionFailure,
  type FailureHistory,
  findSessionFailureHistory,
  forgetSessionFailures,
  requireNotThrottled,
} from './throttle.ts'

export interface PasswordChange {
  readonly current: string
  readonly next: string
  readonly address: string | undefined
  /** Aborts when the client disconnects. */
  readonly signal?: AbortSignal
}

/**
 * Changes the password of a signed-in user: ends their other sessions and lifts a quarantine.
 * Throws `invalid_fields` with the field and the rule, and `too_many_attempts` after too many wrong
 * current passwords.
 */
export async function changePassword(deps: Deps, principal: Principal, change: PasswordChange): Promise<void> {
  const { clock, settings } = deps
  const { sessionId, user } = principal
  const history = await findUnthrottledHistory(deps, principal, change)
  const stored = await deps.hashQueue.run(async (hasWaited) => {
    if (hasWaited) await findUnthrottledHistory(deps, principal, change)
    return verifyCurrent(deps, principal, change)
  }, change.signal)
  if (normalizePassword(change.next) === normalizePassword(change.current))
    throw refusal('new_password', 'must differ from the current password')
  await requireAcceptablePassword(
    { password: change.next, username: user.username },
    settings.passwordMinLength,
    'new_password',
  )

  const hash = await hashInSlot(deps, change.next, change.signal)
  requireNotAborted(change.signal)
  const password = { hash, mustChange: false, replacing: stored.hashed_password }
  const own = { by: partyOf(user, principal.sessionId), about: partyOf(user, principal.sessionId) }
  const changed = await auditedAccounts(
    deps,
    ({ users }) => users.updatePassword(user.id, password, new Date(clock()), sessionId),
    (result, stateOf) =>
      typeof result === 'object'
        ? [
            {
              event: { event: 'password.changed', username: user.username, ended: result.ended },
              ...own,
              state: stateOf({
                was: result.former,
                is: { ...result.former, hashed_password: hash, must_change_password: false },
              }),
            },
          ]
        : [],
  )
  if (typeof changed !== 'object')
    throw new AppError('conflict', 'The password was changed by another request. Sign in again.')
  await reportingFailure(deps, user, 'reset_throttle', () => forgetSessionFailures(deps, user.id, history))
}

/** A stolen token must not allow brute force of the password. */
async function findUnthrottledHistory(
  deps: Deps,
  principal: Principal,
  { address }: PasswordChange,
): Promise<FailureHistory> {
  const { user } = principal
  const history = await findSessionFailureHistory(deps, user.id)
  if (history.lockedUntil)
    await recordRefusal(deps, {
      event: { event: 'password.change_throttled', username: user.username, address },
      by: partyOf(user, principal.sessionId),
      about: partyOf(user, principal.sessionId),
    })
  requireNotThrottled(deps, history)
  return history
}

async function verifyCurrent(deps: Deps, principal: Principal, { current, address }: PasswordChange): Promise<User> {
  const { user } = principal
  const stored = await deps.database.users.findUser(user.id)
  const { hashQueue, argon2, rejectionWork } = deps
  const { memory } = hashQueue.limits
  const verdict = await verifyPassword(current, stored?.hashed_password, memory, argon2(), rejectionWork.free)
  if (stored && verdict === 'right') return stored
  const event = { event: 'password.change_failed', username: user.username, address } as const
  await countSessionFailure(deps, user, {
    event,
    by: partyOf(user, principal.sessionId),
    about: partyOf(user, principal.sessionId),
  })
  throw refusal('current_password', 'is incorrect')
}

function refusal(field: string, message: string): AppError {
  return new AppError('invalid_fields', `The field ${field} ${message}.`, { fields: [{ field, message }] })
}
