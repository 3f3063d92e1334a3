import { AppError } from '../error.ts'
import type { Deps } from './deps.ts'
import { record } from './events.ts'
import { requireGoodPassword } from './passwordPolicy.ts'
import { hashPassword, verifyPassword } from './passwords.ts'
import type { Principal } from './sessions.ts'

export interface PasswordChange {
  readonly current: string
  readonly next: string
  readonly address: string | undefined
}

/**
 * Gives a signed-in user a password of the user's own choice: other sessions end, this one goes on, and a quarantine is over.
 * Throws `invalid_fields` with the field and the rule that is not met.
 */
export async function changeOwnPassword(
  deps: Deps,
  { sessionId, user }: Principal,
  change: PasswordChange,
): Promise<void> {
  const { database, clock, settings } = deps
  const stored = await database.users.findUser(user.id)
  if (!(await verifyPassword(change.current, stored?.hashed_password, settings.hashCost)) || !stored) {
    record(deps, { event: 'password.change_failed', username: user.username, address: change.address })
    throw refusal('current_password', 'is not the current password')
  }
  if (change.next.normalize('NFC') === change.current.normalize('NFC'))
    throw refusal('new_password', 'is the current password')
  await requireGoodPassword(
    { password: change.next, username: user.username },
    settings.passwordMinLength,
    'new_password',
  )

  const hash = await hashPassword(change.next, settings.hashCost)
  const password = { hash, mustChange: false, replacing: stored.hashed_password }
  const ended = await database.users.updatePassword(user.id, password, new Date(clock()), sessionId)
  if (ended === undefined)
    throw new AppError('conflict', 'The password was changed by somebody else meanwhile: sign in again.')
  record(deps, { event: 'password.changed', username: user.username, ended })
}

function refusal(field: string, message: string): AppError {
  return new AppError('invalid_fields', `The field ${field} ${message}.`, { fields: [{ field, message }] })
}
