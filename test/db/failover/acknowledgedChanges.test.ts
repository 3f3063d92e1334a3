import { describe, expect, test } from 'bun:test'
import { createAcknowledgedChanges } from '../../../src/db/failover/acknowledgedChanges.ts'
import { createWalPositions, isBefore } from '../../../src/db/failover/walPositions.ts'

function create() {
  const clock = { now: 0 }
  const changes = createAcknowledgedChanges(
    () => clock.now,
    () => {},
  )
  return { clock, changes, ids: () => changes.revocations().map(({ id }) => id) }
}

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
    changes.sessionStarted('kept')
    changes.sessionStarted('ended')
    changes.sessionRefreshed('kept', 3)
    changes.sessionsEnded(['ended'])
    expect(changes.creations()).toEqual([{ kind: 'session', id: 'kept', generation: 3, at: 0 }])
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
