import { describe, expect, test } from 'bun:test'
import type { FailureCount } from '../../../src/db/statements/throttle.ts'
import { lockedUntil } from '../../../src/domain/signIn/throttle.ts'

const now = new Date('2026-11-28T12:00:00Z')
const after = (milliseconds: number) => new Date(now.getTime() + milliseconds)
const counted = (kind: FailureCount['kind'], failures: number, age: number): FailureCount => ({
  kind,
  failures,
  last_failed_at: after(-age),
  forgotten_at: after(900_000 - age),
})

describe('lockedUntil', () => {
  test.each([
    ['client', 5],
    ['account', 5],
    ['device', 1],
    ['session', 5],
    ['network', 20],
  ] as const)('is no lockout after %s failures that cost no wait (%i), whatever their time', (kind, failures) => {
    for (const age of [0, 60_000, -1000, -600_000, -86_400_000])
      expect(lockedUntil(counted(kind, failures, age), now)).toEqual(new Date(0))
  })

  test('ends a second after the sixth failure, two after the seventh', () => {
    expect(lockedUntil(counted('client', 6, 0), now)).toEqual(after(1000))
    expect(lockedUntil(counted('client', 7, 500), now)).toEqual(after(1500))
  })

  test('is no lockout if the failure is in the future, counted by a wrong clock', () => {
    expect(lockedUntil(counted('client', 9, -5000), now) > now).toBe(true)
    expect(lockedUntil(counted('client', 9, -5001), now)).toEqual(new Date(0))
  })
})
