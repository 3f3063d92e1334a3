import type { EventRow } from '../../db/audit/pending.ts'
import type { SignInUser } from '../../db/statements/signIns.ts'
import type { FailureCount, FailureKind, NewFailure, ReadFailures } from '../../db/statements/throttle.ts'
import { AppError } from '../../error.ts'
import { describeError } from '../../telemetry/log.ts'
import { trimBlanks } from '../../userFields.ts'
import { auditedStatement, isAdmitted } from '../audit/audited.ts'
import { type AuditRecord, logEvent } from '../audit/record.ts'
import type { Deps } from '../deps.ts'
import { sumOf } from '../uncountedFailures.ts'

/** Identifies the source of a sign-in. */
export interface ThrottleSubject {
  /**
   * Stands for the entered username, whether it exists or not. The same for every case, with and
   * without blanks around it, and on every replica.
   */
  readonly account: string
  /** IPv4 address or IPv6 /64. Undefined if all clients share one address. */
  readonly network: string | undefined
  /**
   * A device that has signed in to this account before (OWASP device cookie). Otherwise undefined.
   */
  readonly device: string | undefined
}

/** Failures without a delay. A network may have many users. */
export const freeFailures = 5
export const freeNetworkFailures = 20
/** Milliseconds after which failures expire, and the longest delay. */
const failureLifetime = 15 * 60_000
const firstDelay = 1000

/**
 * Returns the delay in milliseconds after so many failures: none, then 1 s, 2 s, 4 s, up to 15
 * minutes.
 */
export function delayAfter(failures: number, allowed: number): number {
  return failures <= allowed ? 0 : Math.min(firstDelay * 2 ** Math.min(failures - allowed - 1, 30), failureLifetime)
}

/**
 * Milliseconds. A later failure was counted by a wrong clock, so the end of its lockout is unknown.
 */
const acceptedClockSkew = 5000

/**
 * Returns the end of a lockout; the epoch if there is none. A row with an unreadable time locks out
 * for the longest delay. `spread` is for a `client`: the number of networks with failures at its
 * account.
 */
export function lockedUntil(
  { kind, failures, last_failed_at, forgotten_at }: FailureCount,
  now: Date,
  spread = 1,
): Date {
  const counted = kind === 'client' ? failures + Math.max(spread, 1) - 1 : failures
  const wait = delayAfter(counted, kind === 'network' ? freeNetworkFailures : freeFailures)
  if (wait === 0 || last_failed_at.getTime() > now.getTime() + acceptedClockSkew) return new Date(0)
  const end = Math.min(last_failed_at.getTime() + wait, forgotten_at.getTime())
  return new Date(Number.isNaN(end) ? now.getTime() + failureLifetime : end)
}

/** The failures recorded for a source. */
export interface FailureHistory {
  readonly counts: readonly FailureCount[]
  /** The latest end of their lockouts. Undefined if there is none. */
  readonly lockedUntil: Date | undefined
}

export interface FoundSignIn {
  readonly user: SignInUser | undefined
  readonly history: FailureHistory
  /** The failures that the database has counted. */
  readonly failures: ReadFailures
}

/**
 * Returns the failures recorded for a source. A known device counts only its own failures, so that
 * an attack on an account does not lock out its owner (OWASP Authentication Cheat Sheet, device
 * cookies).
 */
export function findFailureHistory(deps: Deps, attempt: ThrottleSubject): Promise<FailureHistory> {
  return failureHistoryOf(deps, keysOf(attempt))
}

/** Finds a user by name, and the failures recorded for the source of the sign-in. */
export async function findSignIn(deps: Deps, username: string, attempt: ThrottleSubject): Promise<FoundSignIn> {
  const now = new Date(deps.clock())
  const { user, counts, failures } = await deps.database.signIns.findSignIn(username, keysOf(attempt), now)
  return { user, history: historyOf(deps, counts, failures), failures }
}

/**
 * Returns the failed password checks of a signed-in user. Counted separately: a stolen token must
 * not lock out its owner.
 */
export function findSessionFailureHistory(deps: Deps, userId: string): Promise<FailureHistory> {
  return failureHistoryOf(deps, [sessionKey(userId)])
}

/**
 * Counts a failure, in memory if the database cannot. `username` is that of the account, undefined
 * if there is none.
 */
export async function countFailure(
  deps: Deps,
  attempt: ThrottleSubject,
  username: string | undefined,
  record?: AuditRecord,
): Promise<void> {
  const { database } = deps
  const now = new Date(deps.clock())
  const counted = (kind: FailureKind, key: string, network?: string): NewFailure => ({
    kind,
    key,
    username: kind === 'network' || username === undefined ? undefined : trimBlanks(username),
    network,
    forgottenAt: new Date(now.getTime() + failureLifetime),
  })
  const { network } = attempt
  if (attempt.device !== undefined)
    return countOne(deps, counted('device', deviceKey(attempt, attempt.device)), now, record)
  const failure = {
    client: counted('client', clientKey(attempt), network),
    account: counted('account', accountKey(attempt)),
    network: network === undefined ? undefined : counted('network', networkKey(network), network),
  }
  try {
    await recordingFailure(deps, record, (row) => database.throttle.insertClientFailure(failure, now, row))
  } catch (error) {
    deps.uncountedFailures.addOfClient(failure, now)
    reportUncounted(deps, error)
  }
}

/** Counts a failure with its event, unless such refusals are above their bounds. */
async function recordingFailure(
  deps: Deps,
  record: AuditRecord | undefined,
  count: (row?: EventRow) => Promise<void>,
): Promise<void> {
  if (record) logEvent(deps, record.event)
  try {
    if (record && isAdmitted(deps, record)) await auditedStatement(deps, record, count)
    else await count()
  } finally {
    deps.failureTally.add()
  }
}

async function countOne(deps: Deps, failure: NewFailure, now: Date, record?: AuditRecord): Promise<void> {
  try {
    await recordingFailure(deps, record, (row) => deps.database.throttle.insertFailure(failure, now, row))
  } catch (error) {
    deps.uncountedFailures.add(failure, now)
    reportUncounted(deps, error)
  }
}

function reportUncounted({ log }: Deps, error: unknown): void {
  log.error('throttle.failed', describeError(error))
}

/**
 * Deletes the failures of a source that has signed in. Those of the network stay, or anyone with an
 * account could reset them. So do those shared with a name without the blanks of this `username`.
 */
export async function forgetFailures(
  deps: Deps,
  attempt: ThrottleSubject,
  username: string,
  { counts }: FailureHistory,
): Promise<void> {
  const own = attempt.device === undefined ? 'client' : 'device'
  if (own === 'client' && username !== trimBlanks(username)) return
  if (!counts.some(({ kind }) => kind === own)) return
  await forget(deps, attempt.device === undefined ? clientKey(attempt) : deviceKey(attempt, attempt.device))
}

/** Counts a failed password check of a signed-in user, in memory if the database cannot. */
export function countSessionFailure(
  deps: Deps,
  { id, username }: { readonly id: string; readonly username: string },
  record?: AuditRecord,
): Promise<void> {
  const now = new Date(deps.clock())
  const forgottenAt = new Date(now.getTime() + failureLifetime)
  const failure = { kind: 'session', key: sessionKey(id), username: trimBlanks(username), network: undefined } as const
  return countOne(deps, { ...failure, forgottenAt }, now, record)
}

export async function forgetSessionFailures(deps: Deps, userId: string, { counts }: FailureHistory): Promise<void> {
  if (counts.length > 0) await forget(deps, sessionKey(userId))
}

function forget({ database, uncountedFailures }: Deps, key: string): Promise<void> {
  uncountedFailures.forget(key)
  return database.throttle.deleteFailures(key)
}

/** Throws `too_many_attempts` during a lockout, for existing and unknown users alike. */
export function requireNotThrottled({ clock }: Pick<Deps, 'clock'>, { lockedUntil: until }: FailureHistory): void {
  if (!until) return
  const retryAfter = Math.max(1, Math.ceil((until.getTime() - clock()) / 1000))
  const seconds = retryAfter === 1 ? '1 second' : `${retryAfter} seconds`
  throw new AppError('too_many_attempts', `Too many failed attempts. Try again in ${seconds}.`, { retryAfter })
}

async function failureHistoryOf(deps: Deps, keys: readonly string[]): Promise<FailureHistory> {
  const now = new Date(deps.clock())
  return historyOf(deps, await deps.database.throttle.findFailureCounts(keys, now), { keys, now })
}

function historyOf(
  { uncountedFailures }: Pick<Deps, 'uncountedFailures'>,
  counted: readonly FailureCount[],
  { keys, now }: Pick<ReadFailures, 'keys' | 'now'>,
): FailureHistory {
  const counts = sumOf(counted, uncountedFailures.find(keys, now))
  const spread = counts.find(({ kind }) => kind === 'account')?.failures
  const latest = new Date(Math.max(0, ...counts.map((count) => lockedUntil(count, now, spread).getTime())))
  return { counts, lockedUntil: latest > now ? latest : undefined }
}

function keysOf(attempt: ThrottleSubject): readonly string[] {
  if (attempt.device !== undefined) return [deviceKey(attempt, attempt.device)]
  const own = [clientKey(attempt), accountKey(attempt)]
  return attempt.network === undefined ? own : [...own, networkKey(attempt.network)]
}

const accountKey = ({ account }: ThrottleSubject) => `account ${account}`
const clientKey = ({ account, network = 'shared' }: ThrottleSubject) => `client ${account} ${network}`
const deviceKey = ({ account }: ThrottleSubject, device: string) => `device ${account} ${device}`
const networkKey = (network: string) => `network ${network}`
const sessionKey = (userId: string) => `session ${userId}`
