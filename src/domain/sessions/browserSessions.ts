import { describeError } from '../../telemetry/log.ts'
import { partyOf } from '../audit/record.ts'
import type { Deps } from '../deps.ts'
import { createUseRecorder } from '../useRecorder.ts'
import { endAudited } from './endAudited.ts'
import { limitsOf } from './sessionLimits.ts'
import type { Principal } from './sessions.ts'

/** What a cookie contains. Each rotation increments the generation. */
export interface BrowserCredential {
  readonly sessionId: string
  readonly generation: number
}

export interface RenewedCredential extends BrowserCredential {
  /** Seconds until the session ends at the latest. Undefined: the cookie ends with the browser. */
  readonly maxAge: number | undefined
}

/** Who presents a credential, for the audit log. */
export interface Caller {
  readonly deps: Deps
  readonly address: string | undefined
}

/** Sessions whose credential is a cookie. `login` starts them. */
export interface BrowserSessions {
  /**
   * Returns the user of a credential. Undefined if the session has ended or the user is gone or
   * disabled. A replaced credential is accepted for ten seconds; later its use ends the session.
   */
  check(credential: BrowserCredential, caller: () => Caller): Promise<Principal | undefined>
  /** Replaces the credential. Returns undefined if the session has ended. */
  renew(credential: BrowserCredential): Promise<RenewedCredential | undefined>
}

/** Milliseconds in which a replaced cookie is accepted: several tabs, a broken connection. */
const graceTime = 10_000
/** Milliseconds between two recorded uses of a session. */
const useInterval = 300_000

export function createBrowserSessions(deps: Deps): BrowserSessions {
  const { database, clock, settings } = deps
  const noteUse = createSessionUseRecorder(deps)
  return {
    check: async ({ sessionId, generation }, caller) => {
      const now = clock()
      const found = await database.findBrowserSession({ id: sessionId, now: new Date(now) })
      if (!found) return undefined
      const { user, rotatedAt } = found
      // A larger generation than the stored one: a failover has lost the rotation.
      if (generation < found.generation) {
        const isRetried = generation === found.generation - 1 && rotatedAt !== null && now - rotatedAt <= graceTime
        if (!isRetried) {
          await endReplayed(caller(), { user, sessionId })
          return undefined
        }
      }
      noteUse(sessionId, found.lastUsedAt)
      return { user, sessionId }
    },
    renew: async ({ sessionId, generation }) => {
      const now = clock()
      const rotated = await database.sessions.rotateCookie(sessionId, generation, new Date(now))
      if (!rotated) return undefined
      const end = rotated.createdAt.getTime() + limitsOf(settings, 'persistent').lifetime
      const maxAge = rotated.isPersistent ? Math.max(1, Math.floor((end - now) / 1000)) : undefined
      return { sessionId, generation: rotated.generation, maxAge }
    },
  }
}

/** Ends the session of a cookie, for its holder. Returns whether it was active. */
export function endBrowserSession(deps: Deps, { sessionId, user }: Principal): Promise<boolean> {
  const event = { event: 'session.ended', username: user.username, session: sessionId, by: 'request' } as const
  return endAudited(deps, { sessionId, by: partyOf(user, sessionId), user, isOwn: true }, event)
}

/** Someone has a copy of the cookie. */
async function endReplayed({ deps, address }: Caller, { sessionId, user }: Principal): Promise<void> {
  const event = { event: 'session.replayed', username: user.username, session: sessionId, address } as const
  await endAudited(deps, { sessionId, by: { kind: 'anonymous' }, user }, event)
}

/** Returns a function that records the use of a session in the background, and so extends it. */
function createSessionUseRecorder({ database, clock, log, settings }: Deps) {
  const plain = limitsOf(settings, 'browser')
  const persistent = limitsOf(settings, 'persistent')
  return createUseRecorder(clock, {
    interval: Math.min(useInterval, plain.idle / 4),
    record: (ids, now, limits) => database.sessions.touchBrowserSessions({ ids, now, ...limits, plain, persistent }),
    failed: (count, error) => log.warn('session.use_not_noted', { sessions: count, ...describeError(error) }),
  })
}
