import type { User } from '../db/users.ts'
import { AppError } from '../error.ts'
import type { Deps } from './deps.ts'
import { type LoginFailure, record } from './events.ts'
import { hashPassword, isOutdated, verifyPassword } from './passwords.ts'
import { type Client, type Session, startSession } from './sessions.ts'

export interface LoginInput extends Client {
  readonly username: string
  readonly password: string
  /** A refresh token is asked for (`scope=offline_access`). */
  readonly isRefreshable: boolean
}

/**
 * Signs a user in and starts a session. Throws `invalid_credentials` for an unknown name, a wrong password and an
 * inactive user alike, each at the price of one hash (OWASP ASVS 6.3.8). Who must change the password first gets no
 * refresh token.
 */
export async function login(deps: Deps, input: LoginInput): Promise<Session> {
  // A second look where the hash has changed since the first: a login beside this one may have made it anew.
  const session = (await tryLogin(deps, input)) ?? (await tryLogin(deps, input))
  if (!session) throw refuse(deps, input, 'changed_meanwhile')
  return session
}

/** Undefined where the user was changed between the verifying and the beginning of the session. */
async function tryLogin(deps: Deps, input: LoginInput): Promise<Session | undefined> {
  const user = await deps.database.users.findUserByUsername(input.username)
  const isRight = await verifyPassword(input.password, user?.hashed_password, deps.settings.hashCost)
  if (!user) throw refuse(deps, input, 'unknown_user')
  if (!isRight) throw refuse(deps, input, 'wrong_password')
  if (!user.is_active) throw refuse(deps, input, 'inactive_user')

  const session = await startSession(deps, user, input, input.isRefreshable && !user.must_change_password)
  if (!session) return undefined
  record(deps, { event: 'login.succeeded', username: user.username, session: session.id, address: input.address })
  await rehashIfOutdated(deps, user, input.password)
  return session
}

/** A hash of another program, or of the time before a setting was raised, is made anew at the first right login. */
async function rehashIfOutdated(deps: Deps, user: User, password: string): Promise<void> {
  if (!isOutdated(user.hashed_password, password, deps.settings.hashCost)) return
  const hash = await hashPassword(password, deps.settings.hashCost)
  await deps.database.users.replaceHash(user.id, user.hashed_password, hash)
  record(deps, { event: 'password.rehashed', username: user.username })
}

function refuse(deps: Deps, { username, address }: LoginInput, reason: LoginFailure): AppError {
  record(deps, { event: 'login.failed', username: username.slice(0, 50), reason, address })
  return new AppError('invalid_credentials', 'Incorrect username or password')
}
