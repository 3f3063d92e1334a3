import type { FailureCount, FailureKind, NewFailure } from '../../db/statements/throttle.ts'
import { AppError } from '../../error.ts'
import type { Deps } from '../deps.ts'

/** Who tries to sign in, as far as a stranger can be told from another. */
export interface ThrottleSubject {
  /** What stands for the name that was typed, whoever has it: the same for each spelling, and on each replica. */
  readonly account: string
  /** IPv4 address or IPv6 /64; undefined where all clients share one address. */
  readonly network: string | undefined
  /** A device on which this account has signed in before (OWASP's device cookie); undefined for all others. */
  readonly device: string | undefined
}

/** Failures that cost no wait; those of a network are many people's. */
export const freeFailures = 5
export const freeNetworkFailures = 20
/** Milliseconds after which failures are forgotten, and the longest wait. */
const memory = 15 * 60_000
const firstWait = 1000

/** Milliseconds to wait after so many failures: none, then 1 s, 2 s, 4 s, and so on to 15 minutes. */
export function waitAfter(failures: number, allowed: number): number {
  return failures <= allowed ? 0 : Math.min(firstWait * 2 ** Math.min(failures - allowed - 1, 30), memory)
}

/** When what was counted no longer keeps anybody waiting; `spread` is for a `client`: networks that failed at its account. */
export function lockedUntil({ kind, failures, last_failed_at, forgotten_at }: FailureCount, spread = 1): Date {
  const counted = kind === 'client' ? failures + Math.max(spread, 1) - 1 : failures
  const wait = waitAfter(counted, kind === 'network' ? freeNetworkFailures : freeFailures)
  return new Date(Math.min(last_failed_at.getTime() + wait, forgotten_at.getTime()))
}

/** What is remembered of an attempt's failures before it. */
export interface FailureHistory {
  readonly counts: readonly FailureCount[]
  /** The latest moment until which one of them keeps it waiting; undefined where none does. */
  readonly lockedUntil: Date | undefined
}

/**
 * What the database has counted against an attempt. A known device is judged by its own failures alone, so that nobody who
 * hammers at an account keeps its owner out (OWASP Authentication Cheat Sheet, device cookies).
 */
export function findFailureHistory(deps: Deps, attempt: ThrottleSubject): Promise<FailureHistory> {
  return failureHistoryOf(deps, keysOf(attempt))
}

/** The same of somebody who is signed in and gives the current password: a stolen token is no reason to keep its owner out. */
export function findSessionFailureHistory(deps: Deps, userId: string): Promise<FailureHistory> {
  return failureHistoryOf(deps, [sessionKey(userId)])
}

/** Counts a failure. `username` is the account's own name; undefined where there is no such account. */
export async function countFailure(
  { database, clock }: Deps,
  attempt: ThrottleSubject,
  username: string | undefined,
): Promise<void> {
  const now = new Date(clock())
  const counted = (kind: FailureKind, key: string, network?: string): NewFailure => ({
    kind,
    key,
    username: kind === 'network' ? undefined : username,
    network,
    forgottenAt: new Date(now.getTime() + memory),
  })
  const { network } = attempt
  if (attempt.device !== undefined)
    return database.throttle.insertFailure(counted('device', deviceKey(attempt, attempt.device)), now)
  return database.throttle.insertClientFailure(
    {
      client: counted('client', clientKey(attempt), network),
      account: counted('account', accountKey(attempt)),
      network: network === undefined ? undefined : counted('network', networkKey(network), network),
    },
    now,
  )
}

/** Forgets the failures of who has signed in now. Those of the network stay: whoever has an account could wipe them out. */
export async function forgetFailures(
  { database }: Deps,
  attempt: ThrottleSubject,
  { counts: counters }: FailureHistory,
): Promise<void> {
  const own = attempt.device === undefined ? 'client' : 'device'
  if (!counters.some(({ kind }) => kind === own)) return
  await database.throttle.deleteFailures(
    attempt.device === undefined ? clientKey(attempt) : deviceKey(attempt, attempt.device),
  )
}

export function countSessionFailure(
  { database, clock }: Deps,
  user: { readonly id: string; readonly username: string },
): Promise<void> {
  const now = new Date(clock())
  const forgottenAt = new Date(now.getTime() + memory)
  const { id, username } = user
  return database.throttle.insertFailure(
    { kind: 'session', key: sessionKey(id), username, network: undefined, forgottenAt },
    now,
  )
}

export async function forgetSessionFailures(
  { database }: Deps,
  userId: string,
  { counts: counters }: FailureHistory,
): Promise<void> {
  if (counters.length > 0) await database.throttle.deleteFailures(sessionKey(userId))
}

/** Throws `too_many_attempts` while there is a wait, for every name alike. */
export function requireNotThrottled({ clock }: Pick<Deps, 'clock'>, { lockedUntil: until }: FailureHistory): void {
  if (!until) return
  const retryAfter = Math.max(1, Math.ceil((until.getTime() - clock()) / 1000))
  throw new AppError(
    'too_many_attempts',
    'Too many failed attempts. Try again after the time in the Retry-After header.',
    {
      retryAfter,
    },
  )
}

async function failureHistoryOf({ database, clock }: Deps, keys: readonly string[]): Promise<FailureHistory> {
  const now = new Date(clock())
  const counters = await database.throttle.findFailureCounts(keys, now)
  const spread = counters.find(({ kind }) => kind === 'account')?.failures
  const latest = new Date(Math.max(0, ...counters.map((counter) => lockedUntil(counter, spread).getTime())))
  return { counts: counters, lockedUntil: latest > now ? latest : undefined }
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
