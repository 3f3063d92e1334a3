import { describe, expect, test } from 'bun:test'
import { createAcknowledgedChanges } from '../../../src/db/failover/acknowledgedChanges.ts'
import { createWalPositions, isBefore } from '../../../src/db/failover/walPositions.ts'

function create() {
  const clock = { now: 0 }
  const changes = createAcknowledgedChanges(
    () => clock.now,
    () => {},
  )
  return {
    clock,
    changes,
    ids: () => changes.revocations().map(({ id }) => id),
    revoked: () => changes.revocations().map(({ at: _, ...revocation }) => revocation),
  }
}

const signIn = { userId: 'ada', at: new Date(0) }

describe('acknowledged changes', () => {
  test('keep the revocations of the last ten minutes', () => {
    const { clock, changes, ids } = create()
    changes.sessionsEnded(['early'])
    clock.now = 600_000
    changes.apiKeysRevoked([{ id: 'key', revoked_at: new Date(0), revoked_by: 'admin' }])
    expect(ids()).toEqual(['early', 'key'])
    clock.now = 600_001
    expect(ids()).toEqual(['key'])
  })

  test('keep the latest 20,000 revocations', () => {
    const { changes, ids } = create()
    changes.sessionsEnded(Array.from({ length: 20_010 }, (_, index) => `session ${index}`))
    expect(ids()).toHaveLength(20_000)
    expect(ids()[0]).toBe('session 10')
  })

  test('keep one entry for a session that ends twice', () => {
    const { changes, ids } = create()
    changes.sessionsEnded(['one', 'two'])
    changes.sessionsEnded(['one'])
    expect(ids()).toEqual(['two', 'one'])
  })

  test('expect a started session to exist until it ends', () => {
    const { changes } = create()
    changes.sessionStarted('kept', signIn)
    changes.sessionStarted('ended', signIn)
    changes.sessionRefreshed('kept', 3)
    changes.sessionsEnded(['ended'])
    expect(changes.creations()).toEqual([{ kind: 'session', id: 'kept', generation: 3, signIn, at: 0 }])
  })

  test('keep that a user is disabled when other fields change', () => {
    const { changes, revoked } = create()
    changes.userAccessChanged('ada', { isActive: false, roles: undefined })
    changes.userAccessChanged('ada', { isActive: undefined, roles: ['editor'] })
    expect(revoked()).toEqual([
      { kind: 'disabling', id: 'ada' },
      { kind: 'roles', id: 'ada', roles: ['editor'] },
    ])
  })

  test('forget a disabling when the user is enabled, and keep the removal of roles', () => {
    const { changes, revoked } = create()
    changes.userAccessChanged('ada', { isActive: false, roles: [] })
    changes.userAccessChanged('ada', { isActive: true, roles: undefined })
    expect(revoked()).toEqual([{ kind: 'roles', id: 'ada', roles: [] }])
  })

  test('keep the latest roles of a user', () => {
    const { changes, revoked } = create()
    changes.userAccessChanged('ada', { isActive: undefined, roles: [] })
    changes.userAccessChanged('ada', { isActive: undefined, roles: ['editor'] })
    expect(revoked()).toEqual([{ kind: 'roles', id: 'ada', roles: ['editor'] }])
  })

  test('keep every hash that a password has replaced', () => {
    const { changes, revoked } = create()
    changes.hashReplaced('ada', 'A', 'A2')
    changes.passwordChanged('ada', { hash: 'B', replacing: 'A2', mustChange: true })
    changes.hashReplaced('ada', 'B', 'B2')
    changes.passwordChanged('ada', { hash: 'C', replacing: 'B2', mustChange: false })
    const former = ['A', 'A2', 'B', 'B2']
    expect(revoked()).toEqual([{ kind: 'password', id: 'ada', hash: 'C', mustChange: false, former }])
  })

  test('set a password again as its latest hash', () => {
    const { changes, revoked } = create()
    changes.passwordChanged('ada', { hash: 'B', replacing: 'A', mustChange: false })
    changes.hashReplaced('ada', 'B', 'B2')
    expect(revoked()).toEqual([{ kind: 'password', id: 'ada', hash: 'B2', mustChange: false, former: ['A', 'B'] }])
  })

  test('keep the latest 100 hashes of a password', () => {
    const { changes } = create()
    for (let change = 0; change < 200; change++)
      changes.passwordChanged('ada', { hash: `${change + 1}`, replacing: `${change}`, mustChange: false })
    const [password] = changes.revocations()
    expect(password?.kind === 'password' && password.former.length).toBe(100)
  })

  test('forget password hashes when they are read after ten minutes without a change', () => {
    const { clock, changes } = create()
    changes.passwordChanged('ada', { hash: 'B', replacing: 'A', mustChange: false })
    clock.now = 600_001
    changes.revocations()
    // They would be returned at this time if they were still in memory.
    clock.now = 0
    expect(changes.revocations()).toEqual([])
  })
})

describe('WAL positions', () => {
  test('are compared as numbers', () => {
    expect(isBefore('0/9FFFFFF', '0/A000000')).toBe(true)
    expect(isBefore('9/FFFFFFFF', 'A/0')).toBe(true)
    expect(isBefore('0/A000000', '0/A000000')).toBe(false)
  })

  test('are unknown before the first reading', () => {
    const positions = createWalPositions(() => 0)
    expect(positions.latest()).toBeUndefined()
    expect(positions.latestBefore('FF/0')).toBeUndefined()
  })
})
