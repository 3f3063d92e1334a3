import type { SignInUser as User } from '../../db/statements/signIns.ts'
import { AppError, type ErrorCode } from '../../error.ts'
import { describeError } from '../../telemetry/log.ts'
import { type LoginOutcome, loginOutcomes } from '../../telemetry/productMetrics.ts'
import { auditedAccounts } from '../accountStates/auditedAccounts.ts'
import { recordRefusal } from '../audit/audited.ts'
import type { LoginFailure } from '../audit/events.ts'
import { type AuditRecord, logEvent, partyOf } from '../audit/record.ts'
import type { Deps } from '../deps.ts'
import { equalizeWork } from '../passwords/decoy.ts'
import { hashInSlot, isOutdated } from '../passwords/hashPassword.ts'
import { requireNotAborted } from '../passwords/hashQueue.ts'
import { type Verdict, verifyPassword } from '../passwords/verifyPassword.ts'
import type { SessionKind } from '../sessions/sessionLimits.ts'
import type { Client, Session } from '../sessions/sessions.ts'
import { abandonSession, type StartedSession, startSession, type VerifiedSignIn } from '../sessions/startSession.ts'
import { reportingFailure } from './sideEffects.ts'
import {
  countFailure,
  type FailureHistory,
  type FoundSignIn,
  findFailureHistory,
  findSignIn,
  forgetFailures,
  requireNotThrottled,
  type ThrottleSubject,
} from './throttle.ts'

export interface LoginInput extends Client {
  readonly username: string
  readonly password: string
  readonly sessionKind: SessionKind
  readonly throttleSubject: ThrottleSubject
  /** Aborts when the client disconnects. */
  readonly signal?: AbortSignal
}

/**
 * Starts a session and returns what `issue` returns; ends it on an error or disconnect. Throws
 * `invalid_credentials` after equal work, and `too_many_attempts` or `overloaded`, whether or not
 * the user exists (OWASP ASVS 6.3.8). No refresh token while the password must change.
 */
export async function login<Tokens>(
  deps: Deps,
  input: LoginInput,
  issue: (session: Session) => Promise<Tokens>,
): Promise<Tokens> {
  try {
    const tokens = await signInWithRetry(deps, input, issue)
    deps.metrics.login('succeeded')
    return tokens
  } catch (error) {
    deps.metrics.login(outcomeOf(error))
    throw error
  }
}

type Issue<Tokens> = (session: Session) => Promise<Tokens>

async function signInWithRetry<Tokens>(deps: Deps, input: LoginInput, issue: Issue<Tokens>): Promise<Tokens> {
  // Retry once: a concurrent login may have rehashed the password.
  const started = (await attemptLogin(deps, input)) ?? (await attemptLogin(deps, input))
  if (!started) {
    await recordRefusal(deps, failureOf(deps, input, 'changed_meanwhile'))
    throw incorrect('changed_meanwhile')
  }
  const { session, user } = started
  try {
    const tokens = await issue(session)
    await followUp(deps, input, started)
    requireNotAborted(input.signal)
    logEvent(deps, signInOf(user, session.id, input))
    return tokens
  } catch (error) {
    await abandonSession(deps, session.id)
    throw error
  }
}

interface StartedLogin extends StartedSession {
  readonly user: User
  readonly history: FailureHistory
}

/** Returns undefined if the user changed after the password was verified. */
async function attemptLogin(deps: Deps, input: LoginInput): Promise<StartedLogin | undefined> {
  const { failureTally } = deps
  const tally = failureTally.total
  const { user: found, history, failures } = await findUnthrottledSignIn(deps, input)
  const user = await deps.hashQueue.run(async () => {
    // Other attempts may have failed during the wait.
    if (failureTally.total !== tally) await findUnthrottledHistory(deps, input)
    return authenticate(deps, input, found)
  }, input.signal)

  requireNotAborted(input.signal)
  const { sessionKind } = input
  const kind = sessionKind === 'refreshable' && user.must_change_password ? 'token' : sessionKind
  const signIn = { user, client: input, kind, failures, eventOf: (id: string) => signInOf(user, id, input) }
  const started = (await startSession(deps, signIn)) ?? (await startUnthrottledSession(deps, input, signIn))
  return started && { ...started, user, history }
}

/** Reads the failures again: other attempts, perhaps at another replica, may have failed. */
async function startUnthrottledSession(
  deps: Deps,
  input: LoginInput,
  signIn: VerifiedSignIn,
): Promise<StartedSession | undefined> {
  await findUnthrottledHistory(deps, input)
  return startSession(deps, { ...signIn, failures: undefined })
}

/**
 * Does what should follow a sign-in. None of it can fail the sign-in, whose session has started.
 */
async function followUp(
  deps: Deps,
  { throttleSubject: attempt, password }: LoginInput,
  { user, history, isSignInRecorded }: StartedLogin,
): Promise<void> {
  await Promise.all([
    reportingFailure(deps, user, 'reset_throttle', () => forgetFailures(deps, attempt, user.username, history)),
    isSignInRecorded ||
      reportingFailure(deps, user, 'record_sign_in', () =>
        deps.database.signIns.recordSignIn(user.id, new Date(deps.clock())),
      ),
    reportingFailure(deps, user, 'rehash', () => rehashIfOutdated(deps, user, password)),
  ])
}

async function findUnthrottledSignIn(deps: Deps, input: LoginInput): Promise<FoundSignIn> {
  const found = await findSignIn(deps, input.username, input.throttleSubject)
  await rejectThrottled(deps, input, found.history)
  return found
}

async function findUnthrottledHistory(deps: Deps, input: LoginInput): Promise<void> {
  await rejectThrottled(deps, input, await findFailureHistory(deps, input.throttleSubject))
}

async function rejectThrottled(deps: Deps, input: LoginInput, history: FailureHistory): Promise<void> {
  if (history.lockedUntil)
    await recordRefusal(deps, {
      event: { event: 'login.throttled', address: input.address },
      by: { kind: 'anonymous' },
      account: deps.audit.keys.pseudonymOf(input.username.toLowerCase()),
    })
  requireNotThrottled(deps, history)
}

/**
 * Verifies the password. A rejection does the rest of the required work, and counts the failure
 * before the slot is released.
 */
async function authenticate(deps: Deps, input: LoginInput, user: User | undefined): Promise<User> {
  const [argon2, hash] = [deps.argon2(), user?.hashed_password]
  const { required, free } = deps.rejectionWork
  const verdict = await verifyPassword(input.password, hash, deps.hashQueue.limits.memory, argon2, free)
  if (user?.is_active && verdict === 'right') return user
  deps.rejectionWork.notice(hash)
  const reportFailure = (error: unknown) => deps.log.warn('hash.decoy_failed', describeError(error))
  await equalizeWork(hash, verdict, required(), argon2, { free, reportFailure })
  // Concurrent failures may have used up the free ones.
  await findUnthrottledHistory(deps, input).catch(unlessThrottled)
  const reason = reasonOf(user, verdict)
  await countFailure(deps, input.throttleSubject, user?.username, failureOf(deps, input, reason, user))
  throw incorrect(reason)
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
  const hash = await hashInSlot(deps, password)
  await auditedAccounts(
    deps,
    ({ users }) => users.replaceHash(user.id, user.hashed_password, hash),
    (changed, stateOf) =>
      changed
        ? [
            {
              event: { event: 'password.rehashed', username: user.username },
              about: partyOf(user),
              state: stateOf({
                was: { ...changed, hashed_password: user.hashed_password },
                is: { ...changed, hashed_password: hash },
              }),
            },
          ]
        : [],
  )
}

/** Without a user no name is recorded: the input may be a password in the wrong field. */
function failureOf(deps: Deps, { username, address }: LoginInput, reason: LoginFailure, user?: User): AuditRecord {
  return {
    event: { event: 'login.failed', ...(user ? { username: user.username } : {}), reason, address },
    by: { kind: 'anonymous' },
    ...(user ? { about: partyOf(user) } : { account: deps.audit.keys.pseudonymOf(username.toLowerCase()) }),
  }
}

function signInOf({ username }: User, session: string, { address }: LoginInput) {
  return { event: 'login.succeeded', username, session, address } as const
}

function incorrect(reason: LoginFailure): AppError {
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
