/**
 * Receives changes once they are committed: those that a failover must not undo, and those that
 * show whether it has lost any.
 */
export interface ChangeObserver {
  sessionStarted(id: string): void
  sessionRefreshed(id: string, generation: number): void
  sessionsEnded(ids: readonly string[]): void
  apiKeyCreated(id: string): void
  apiKeysRevoked(keys: readonly RevokedKey[]): void
  userCreated(id: string): void
  /** `roles` is undefined if they did not change. */
  userRestricted(id: string, restriction: UserRestriction): void
  userDeleted(id: string): void
  passwordChanged(id: string, change: ChangedPassword): void
}

export interface RevokedKey {
  readonly id: string
  readonly revoked_at: Date | null
  readonly revoked_by: string | null
}

/** A user may have lost roles, or is disabled. */
export interface UserRestriction {
  readonly roles: readonly string[] | undefined
  readonly isDisabled: boolean
}

export interface ChangedPassword {
  readonly hash: string
  readonly replacing: string
  readonly mustChange: boolean
}

/** For connections whose changes no one observes. */
export const unobserved: ChangeObserver = {
  sessionStarted() {},
  sessionRefreshed() {},
  sessionsEnded() {},
  apiKeyCreated() {},
  apiKeysRevoked() {},
  userCreated() {},
  userRestricted() {},
  userDeleted() {},
  passwordChanged() {},
}

/** Returns an observer that keeps changes until their transaction has been committed. */
export function delayed(changes: ChangeObserver) {
  let kept: (() => void)[] = []
  const keep =
    <Facts extends readonly unknown[]>(observe: (...facts: Facts) => void) =>
    (...facts: Facts): void => {
      kept.push(() => observe(...facts))
    }
  const observer: ChangeObserver = {
    sessionStarted: keep(changes.sessionStarted),
    sessionRefreshed: keep(changes.sessionRefreshed),
    sessionsEnded: keep(changes.sessionsEnded),
    apiKeyCreated: keep(changes.apiKeyCreated),
    apiKeysRevoked: keep(changes.apiKeysRevoked),
    userCreated: keep(changes.userCreated),
    userRestricted: keep(changes.userRestricted),
    userDeleted: keep(changes.userDeleted),
    passwordChanged: keep(changes.passwordChanged),
  }
  return {
    observer,
    deliver: () => {
      for (const observe of kept) observe()
      kept = []
    },
    discard: () => {
      kept = []
    },
  }
}
