import type { Limits } from '../../db/statements/sessions.ts'
import type { DomainSettings } from '../deps.ts'

/** `refreshable` has a refresh token. `persistent` has a cookie that outlives the browser. */
export type SessionKind = 'token' | 'refreshable' | 'browser' | 'persistent'

type LimitSettings = Pick<
  DomainSettings,
  'accessTokenSeconds' | 'refreshLifetimeDays' | 'sessionIdleDays' | 'browserSessionHours' | 'browserIdleMinutes'
>

const dayMilliseconds = 86_400_000

/** Returns how long a session may be idle, and its longest lifetime. */
export function limitsOf(settings: LimitSettings, kind: Exclude<SessionKind, 'token'>): Limits {
  if (kind === 'browser')
    return { idle: settings.browserIdleMinutes * 60_000, lifetime: settings.browserSessionHours * 3_600_000 }
  return { idle: settings.sessionIdleDays * dayMilliseconds, lifetime: settings.refreshLifetimeDays * dayMilliseconds }
}

/** Returns when a session that starts now ends: if it is not used, and at the latest. */
export function endsOf(settings: LimitSettings, kind: SessionKind, now: number) {
  if (kind === 'token') {
    // It lasts as long as its access token.
    const end = new Date((Math.floor(now / 1000) + settings.accessTokenSeconds) * 1000)
    return { expiresAt: end, sweepAt: end }
  }
  const { idle, lifetime } = limitsOf(settings, kind)
  return { expiresAt: new Date(now + Math.min(idle, lifetime)), sweepAt: new Date(now + lifetime) }
}
