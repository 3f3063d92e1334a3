import type { User } from '../../db/statements/users.ts'
import { AppError, type ErrorCode } from '../../error.ts'
import { type LoginOutcome, loginOutcomes } from '../../telemetry/productMetrics.ts'
import type { Deps } from '../deps.ts'
import { type LoginFailure, record } from '../events.ts'
import { equalizeCost } from '../passwords/decoy.ts'
import { hashPassword, isOutdated } from '../passwords/hashPassword.ts'
import { requireNotAborted } from '../passwords/hashQueue.ts'
import { type Verdict, verifyPassword } from '../passwords/verifyPassword.ts'
import { type Client, type Session, startSession } from '../sessions/sessions.ts'
import {
  countFailure,
  type FailureHistory,
  findFailureHistory,
  forgetFailures,
  requireNotThrottled,
  type ThrottleSubject,
} from './throttle.ts'

export interface LoginInput extends Client {
  readonly username: string
  readonly password: string
  /** A refresh token is asked for (`scope=offline_access`). */
  readonly isRefreshable: boolean
  readonly throttleSubject: ThrottleSubject
  /** Says that nobody waits for the answer any more. */
  readonly signal?: AbortSignal
}

/**
 * Signs a user in and starts a session. Throws `invalid_credentials` for an unknown name, a wrong password and an
 * inactive user alike, each at the price of one hash (OWASP ASVS 6.3.8); `too_many_attempts` and `overloaded`, which cost none and
 * depend on nothing that tells who exists. Who must change the password first gets no refresh token.
 */
export async function login(deps: Deps, input: LoginInput): Promise<Session> {
  try {
    const session = await signIn(deps, input)
    deps.metrics.login('succeeded')
    return session
  } catch (error) {
    deps.metrics.login(outcomeOf(error))
    throw error
  }
}

async function signIn(deps: Deps, input: LoginInput): Promise<Session> {
  // A second look where the hash has changed since the first: a login beside this one may have made it anew.
  const session = (await tryLogin(deps, input)) ?? (await tryLogin(deps, input))
  if (!session) throw refuse(deps, input, 'changed_meanwhile')
  return session
}

/** Undefined where the user was changed between the verifying and the beginning of the session. */
async function tryLogin(deps: Deps, input: LoginInput): Promise<Session | undefined> {
  const [found, history] = await Promise.all([
    deps.database.users.findUserByUsername(input.username),
    findUnthrottledHistory(deps, input),
  ])
  const user = await deps.hashQueue.run(async (hasWaited) => {
    // Others may have failed meanwhile.
    if (hasWaited) await findUnthrottledHistory(deps, input)
    return authenticate(deps, input, found)
  }, input.signal)

  requireNotAborted(input.signal)
  const session = await startSession(deps, user, input, input.isRefreshable && !user.must_change_password)
  if (!session) return undefined
  record(deps, { event: 'login.succeeded', username: user.username, session: session.id, address: input.address })
  await tidyUp(deps, input, user, history)
  return session
}

/** What a right login does beside. The session has begun, and is not refused where the database will not or too many hashes wait. */
async function tidyUp(
  deps: Deps,
  { throttleSubject: attempt, password }: LoginInput,
  user: User,
  history: FailureHistory,
): Promise<void> {
  try {
    await forgetFailures(deps, attempt, history)
    await rehashIfOutdated(deps, user, password)
  } catch (error) {
    const isPassing = error instanceof AppError && error.code !== 'internal'
    if (!isPassing) throw error
  }
}

async function findUnthrottledHistory(deps: Deps, input: LoginInput): Promise<FailureHistory> {
  const history = await findFailureHistory(deps, input.throttleSubject)
  if (history.lockedUntil) record(deps, { event: 'login.throttled', address: input.address })
  requireNotThrottled(deps, history)
  return history
}

/** Verifies the password or pays for it all the same; a failure is counted before anybody else has the place. */
async function authenticate(deps: Deps, input: LoginInput, user: User | undefined): Promise<User> {
  const verdict = await verifyPassword(input.password, user?.hashed_password, deps.hashQueue.limits.memory)
  if (user?.is_active && verdict === 'right') return user
  await equalizeCost(input.password, user?.hashed_password, verdict, deps.settings.hashCost)
  // Who guessed beside this one may have used up what was left.
  await findUnthrottledHistory(deps, input)
  await countFailure(deps, input.throttleSubject, user?.username)
  throw refuse(deps, input, reasonOf(user, verdict), user?.username)
}

function reasonOf(user: User | undefined, verdict: Verdict): LoginFailure {
  if (!user) return 'unknown_user'
  if (verdict === 'unusable') return 'unusable_hash'
  return verdict === 'wrong' ? 'wrong_password' : 'inactive_user'
}

/**
 * A hash of another program, or of the time before a setting was raised, is made anew at the first right login; where too many
 * hashes wait, at a later one.
 */
async function rehashIfOutdated(deps: Deps, user: User, password: string): Promise<void> {
  const { hashCost } = deps.settings
  if (!isOutdated(user.hashed_password, password, hashCost) || deps.hashQueue.waiting > 0) return
  const hash = await deps.hashQueue.run(() => hashPassword(password, hashCost))
  await deps.database.users.replaceHash(user.id, user.hashed_password, hash)
  record(deps, { event: 'password.rehashed', username: user.username })
}

/** Without a user no name is logged: what was typed may be a password in the wrong field. */
function refuse(deps: Deps, { address }: LoginInput, reason: LoginFailure, username?: string): AppError {
  record(deps, { event: 'login.failed', ...(username === undefined ? {} : { username }), reason, address })
  return new AppError('invalid_credentials', 'Incorrect username or password', { reason })
}

const outcomes: Partial<Record<ErrorCode, LoginOutcome>> = {
  too_many_attempts: 'throttled',
  overloaded: 'overloaded',
  refused: 'unavailable',
  unavailable: 'unavailable',
}

function outcomeOf(error: unknown): LoginOutcome {
  if (!(error instanceof AppError)) return 'failed'
  return loginOutcomes.find((outcome) => outcome === error.reason) ?? outcomes[error.code] ?? 'failed'
}
