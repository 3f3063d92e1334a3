import type { ChangeObserver, RevokedKey, SignIn } from '../changes.ts'
import { createRecentEntries } from './recentEntries.ts'

/** What takes rights away, and would give them back if a failover undid it. */
export type Revocation =
  | { readonly kind: 'session' | 'disabling' | 'deletion'; readonly id: string }
  | { readonly kind: 'api_key'; readonly id: string; readonly key: RevokedKey }
  | { readonly kind: 'roles'; readonly id: string; readonly roles: readonly string[] }
  | ({ readonly kind: 'password'; readonly id: string } & RememberedPassword)

export interface RememberedPassword {
  readonly hash: string
  readonly mustChange: boolean
  /** Every hash that it has replaced. */
  readonly former: readonly string[]
}

/** A row that must exist after the change. */
export interface Creation {
  readonly kind: 'session' | 'api_key' | 'user'
  readonly id: string
  /** The least number of rotations of the session. */
  readonly generation: number
  /** The sign-in that started the session. Undefined if it is not remembered. */
  readonly signIn?: SignIn | undefined
}

/** `at`: by the monotonic clock. */
export type Acknowledged<Change> = Change & { readonly at: number }

/** The latest changes that this process has acknowledged. */
export interface AcknowledgedChanges extends ChangeObserver {
  /**
   * Of the last ten minutes, oldest first, at most 20,000. Forgets older changes, which include
   * password hashes.
   */
  revocations(): readonly Acknowledged<Revocation>[]
  /** Of the last minute, at most 500. Not the sessions that have ended since. */
  creations(): readonly Acknowledged<Creation>[]
}

/** Milliseconds, and the most changes that are kept. */
const limits = {
  revocations: { age: 600_000, count: 20_000 },
  creations: { age: 60_000, count: 500 },
  rehashes: { age: 60_000, count: 500 },
}
/** The most hashes that are kept for one user. */
const maxFormer = 100

/** `onChange` is called after each. */
export function createAcknowledgedChanges(now: () => number, onChange: () => void): AcknowledgedChanges {
  const revocations = createRecentEntries<Revocation>(limits.revocations, now)
  const creations = createRecentEntries<Creation>(limits.creations, now)
  /** Hashes that a sign-in replaced with a newer one of the same password. */
  const rehashes = createRecentEntries<{ readonly former: readonly string[] }>(limits.rehashes, now)

  function revoke(revocation: Revocation): void {
    revocations.set(`${revocation.kind} ${revocation.id}`, revocation)
    onChange()
  }

  function create(creation: Creation): void {
    creations.set(`${creation.kind} ${creation.id}`, creation)
    onChange()
  }

  function rememberedPassword(id: string): RememberedPassword | undefined {
    const known = revocations.get(`password ${id}`)
    return known?.kind === 'password' ? known : undefined
  }

  return {
    sessionStarted: (id, signIn) => create({ kind: 'session', id, generation: 0, signIn }),
    sessionRefreshed: (id, generation) =>
      create({ kind: 'session', id, generation, signIn: creations.get(`session ${id}`)?.signIn }),
    sessionsEnded: (ids) => {
      for (const id of ids) {
        creations.delete(`session ${id}`)
        revoke({ kind: 'session', id })
      }
    },
    apiKeyCreated: (id) => create({ kind: 'api_key', id, generation: 0 }),
    apiKeysRevoked: (keys) => {
      for (const { id, revoked_at, revoked_by } of keys)
        revoke({ kind: 'api_key', id, key: { id, revoked_at, revoked_by } })
    },
    userCreated: (id) => create({ kind: 'user', id, generation: 0 }),
    userAccessChanged: (id, { isActive, roles }) => {
      if (isActive === true) revocations.delete(`disabling ${id}`)
      if (isActive === false) revoke({ kind: 'disabling', id })
      if (roles) revoke({ kind: 'roles', id, roles })
    },
    userDeleted: (id) => {
      creations.delete(`user ${id}`)
      revoke({ kind: 'deletion', id })
    },
    passwordChanged: (id, { hash, replacing, mustChange }) => {
      const known = rememberedPassword(id)
      const former = [...(known ? [...known.former, known.hash] : []), ...(rehashes.get(id)?.former ?? []), replacing]
      revoke({ kind: 'password', id, hash, mustChange, former: latestOf(former, hash) })
    },
    hashReplaced: (id, from, to) => {
      const known = rememberedPassword(id)
      if (known?.hash === from)
        revoke({ kind: 'password', id, ...known, hash: to, former: latestOf([...known.former, from], to) })
      else rehashes.set(id, { former: latestOf([...(rehashes.get(id)?.former ?? []), from], to) })
    },
    revocations: () => {
      rehashes.list()
      return revocations.list()
    },
    creations: creations.list,
  }
}

function latestOf(former: readonly string[], current: string): readonly string[] {
  return [...new Set(former)].filter((hash) => hash !== current).slice(-maxFormer)
}
