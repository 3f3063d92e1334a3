import type { ChangedPassword, ChangeObserver, RevokedKey, UserRestriction } from '../changes.ts'

/** What takes rights away, and would give them back if a failover undid it. */
export type Revocation =
  | { readonly kind: 'session'; readonly id: string }
  | { readonly kind: 'api_key'; readonly id: string; readonly key: RevokedKey }
  | { readonly kind: 'restriction'; readonly id: string; readonly restriction: UserRestriction }
  | { readonly kind: 'deletion'; readonly id: string }
  | { readonly kind: 'password'; readonly id: string; readonly password: ChangedPassword }

/** A row that must exist after the change. */
export interface Creation {
  readonly kind: 'session' | 'api_key' | 'user'
  readonly id: string
  /** The least number of rotations of the session. */
  readonly generation: number
}

/** `at`: by the monotonic clock. */
export type Acknowledged<Change> = Change & { readonly at: number }

/** The latest changes that this process has acknowledged. */
export interface AcknowledgedChanges extends ChangeObserver {
  /** Of the last ten minutes, oldest first, at most 20,000. */
  revocations(): readonly Acknowledged<Revocation>[]
  /** Of the last minute, at most 500. Not the sessions that have ended since. */
  creations(): readonly Acknowledged<Creation>[]
}

/** Milliseconds, and the most changes that are kept. */
const limits = {
  revocations: { age: 600_000, count: 20_000 },
  creations: { age: 60_000, count: 500 },
}

/** `onChange` is called after each. */
export function createAcknowledgedChanges(now: () => number, onChange: () => void): AcknowledgedChanges {
  const revocations = new Map<string, Acknowledged<Revocation>>()
  const creations = new Map<string, Acknowledged<Creation>>()

  function keep<Change extends Revocation | Creation>(
    kept: Map<string, Acknowledged<Change>>,
    change: Change,
    { count, age }: { readonly count: number; readonly age: number },
  ): void {
    const key = `${change.kind} ${change.id}`
    // The order of a Map is that of insertion.
    kept.delete(key)
    kept.set(key, { ...change, at: now() })
    for (const [oldest, { at }] of kept) {
      if (kept.size <= count && now() - at <= age) break
      kept.delete(oldest)
    }
    onChange()
  }

  const revoke = (change: Revocation) => keep<Revocation>(revocations, change, limits.revocations)
  const create = (kind: Creation['kind'], id: string, generation = 0) =>
    keep<Creation>(creations, { kind, id, generation }, limits.creations)
  const recent = <Change>(kept: Map<string, Acknowledged<Change>>, age: number) =>
    [...kept.values()].filter(({ at }) => now() - at <= age)

  return {
    sessionStarted: (id) => create('session', id),
    sessionRefreshed: (id, generation) => create('session', id, generation),
    sessionsEnded: (ids) => {
      for (const id of ids) {
        creations.delete(`session ${id}`)
        revoke({ kind: 'session', id })
      }
    },
    apiKeyCreated: (id) => create('api_key', id),
    apiKeysRevoked: (keys) => {
      for (const key of keys) revoke({ kind: 'api_key', id: key.id, key })
    },
    userCreated: (id) => create('user', id),
    userRestricted: (id, restriction) => revoke({ kind: 'restriction', id, restriction }),
    userDeleted: (id) => {
      creations.delete(`user ${id}`)
      revoke({ kind: 'deletion', id })
    },
    passwordChanged: (id, password) => revoke({ kind: 'password', id, password }),
    revocations: () => recent(revocations, limits.revocations.age),
    creations: () => recent(creations, limits.creations.age),
  }
}
