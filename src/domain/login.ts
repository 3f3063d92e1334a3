import { AppError } from '../error.ts'
import type { Deps } from './deps.ts'
import { type LoginFailure, record } from './events.ts'
import { verifyPassword } from './passwords.ts'
import { type Session, startSession } from './sessions.ts'

export interface LoginInput {
  readonly username: string
  readonly password: string
  readonly address: string | undefined
  readonly userAgent: string | undefined
}

/**
 * Signs a user in and starts a session. Throws `invalid_credentials` for an unknown name, a wrong password and an
 * inactive user alike, each at the price of one hash (OWASP ASVS 6.3.8).
 */
export async function login(deps: Deps, input: LoginInput): Promise<Session> {
  const user = await deps.database.users.findUserByUsername(input.username)
  const isRight = await verifyPassword(input.password, user?.hashed_password, deps.hashCost)
  if (!user) throw refuse(deps, input, 'unknown_user')
  if (!isRight) throw refuse(deps, input, 'wrong_password')
  if (!user.is_active) throw refuse(deps, input, 'inactive_user')

  const session = await startSession(deps, user, input)
  record(deps, { event: 'login.succeeded', username: user.username, session: session.id, address: input.address })
  return session
}

function refuse(deps: Deps, { username, address }: LoginInput, reason: LoginFailure): AppError {
  record(deps, { event: 'login.failed', username: username.slice(0, 50), reason, address })
  return new AppError('invalid_credentials', 'Incorrect username or password')
}
