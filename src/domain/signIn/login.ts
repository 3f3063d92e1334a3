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
  /** Whether to issue a refresh token (`scope=offline_access`). */
  readonly isRefreshable: boolean
  readonly throttleSubject: ThrottleSubject
  /** Aborts when the client disconnects. */
  readonly signal?: AbortSignal
}

/**
 * Signs in and starts a session. Throws `invalid_credentials` for an unknown, wrong-password or
 * inactive user, at the cost of one hash each (OWASP ASVS 6.3.8); `too_many_attempts` and
 * `overloaded` at none, for every username alike. No refresh token while the password must change.
 */
export async function login(deps: Deps, input: LoginInput): Promise<Session> {
  try {
    const session = await signInWithRetry(deps, input)
    deps.metrics.login('succeeded')
    return session
  } catch (error) {
    deps.metrics.login(outcomeOf(error))
    throw error
  }
}

async function signInWithRetry(deps: Deps, input: LoginInput): Promise<Session> {
  // Retry once: a concurrent login may have rehashed the password.
  const session = (await attemptLogin(deps, input)) ?? (await attemptLogin(deps, input))
  if (!session) throw refuse(deps, input, 'changed_meanwhile')
  return session
}

/** Returns undefined if the user changed after the password was verified. */
async function attemptLogin(deps: Deps, input: LoginInput): Promise<Session | undefined> {
  const [found, history] = await Promise.all([
    deps.database.users.findUserByUsername(input.username),
    findUnthrottledHistory(deps, input),
  ])
  const user = await deps.hashQueue.run(async (hasWaited) => {
    // Other attempts may have failed during the wait.
    if (hasWaited) await findUnthrottledHistory(deps, input)
    return authenticate(deps, input, found)
  }, input.signal)

  requireNotAborted(input.signal)
  const session = await startSession(deps, user, input, input.isRefreshable && !user.must_change_password)
  if (!session) return undefined
  record(deps, { event: 'login.succeeded', username: user.username, session: session.id, address: input.address })
  await cleanUp(deps, input, user, history)
  return session
}

/** Cleans up after a login. A failure here must not fail the login, whose session has started. */
async function cleanUp(
  deps: Deps,
  { throttleSubject: attempt, password }: LoginInput,
  user: User,
  history: FailureHistory,
): Promise<void> {
  try {
    await forgetFailures(deps, attempt, history)
    await rehashIfOutdated(deps, user, password)
  } catch (error) {
    const isExpected = error instanceof AppError && error.code !== 'internal'
    if (!isExpected) throw error
  }
}

async function findUnthrottledHistory(deps: Deps, input: LoginInput): Promise<FailureHistory> {
  const history = await findFailureHistory(deps, input.throttleSubject)
  if (history.lockedUntil) record(deps, { event: 'login.throttled', address: input.address })
  requireNotThrottled(deps, history)
  return history
}

/**
 * Verifies the password at equal cost. A failure is counted before the slot is released.
 */
async function authenticate(deps: Deps, input: LoginInput, user: User | undefined): Promise<User> {
  const verdict = await verifyPassword(input.password, user?.hashed_password, deps.hashQueue.limits.memory)
  if (user?.is_active && verdict === 'right') return user
  await equalizeCost(input.password, user?.hashed_password, verdict, deps.settings.hashCost)
  // Concurrent failures may have used up the free ones.
  await findUnthrottledHistory(deps, input).catch(unlessThrottled)
  await countFailure(deps, input.throttleSubject, user?.username)
  throw refuse(deps, input, reasonOf(user, verdict), user?.username)
}

/** Whatever else fails, a failed sign-in is counted and logged. */
function unlessThrottled(error: unknown): void {
  if (error instanceof AppError && error.code === 'too_many_attempts') throw error
}

function reasonOf(user: User | undefined, verdict: Verdict): LoginFailure {
  if (!user) return 'unknown_user'
  if (verdict === 'unusable') return 'unusable_hash'
  return verdict === 'wrong' ? 'wrong_password' : 'inactive_user'
}

/**
 * Rehashes a password whose hash has another format or cost than today's, at its first successful
 * login. Deferred to a later one while other hashes are waiting.
 */
async function rehashIfOutdated(deps: Deps, user: User, password: string): Promise<void> {
  const { hashCost } = deps.settings
  if (!isOutdated(user.hashed_password, password, hashCost) || deps.hashQueue.waiting > 0) return
  const hash = await deps.hashQueue.run(() => hashPassword(password, hashCost))
  await deps.database.users.replaceHash(user.id, user.hashed_password, hash)
  record(deps, { event: 'password.rehashed', username: user.username })
}

/** Without a user no name is logged: the input may be a password in the wrong field. */
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
