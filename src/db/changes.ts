/**
 * Receives changes once they are committed: those that a failover must not undo, and those that
 * show whether it has lost any.
 */
export interface ChangeObserver {
  sessionStarted(id: string, signIn: SignIn): void
  sessionRefreshed(id: string, generation: number): void
  sessionsEnded(ids: readonly string[]): void
  apiKeyCreated(id: string): void
  apiKeysRevoked(keys: readonly RevokedKey[]): void
  userCreated(id: string): void
  /** Called for every change of them, so that enabling a user replaces an earlier disabling. */
  userAccessChanged(id: string, access: UserAccess): void
  userDeleted(id: string): void
  passwordChanged(id: string, change: ChangedPassword): void
  /** The password is the same. */
  hashReplaced(id: string, from: string, to: string): void
}

export interface SignIn {
  readonly userId: string
  readonly at: Date
}

export interface RevokedKey {
  readonly id: string
  readonly revoked_at: Date | null
  readonly revoked_by: string | null
}

/** Undefined members did not change. */
export interface UserAccess {
  readonly roles: readonly string[] | undefined
  readonly isActive: boolean | undefined
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
  userAccessChanged() {},
  userDeleted() {},
  passwordChanged() {},
  hashReplaced() {},
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
    userAccessChanged: keep(changes.userAccessChanged),
    userDeleted: keep(changes.userDeleted),
    passwordChanged: keep(changes.passwordChanged),
    hashReplaced: keep(changes.hashReplaced),
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
