import { describe, expect, test } from 'bun:test'
import { createDatabaseClock } from '../../src/app/databaseClock.ts'

/** A machine and a database whose clocks the test sets. */
function openClocks({ wall = 1_000_000, database = 1_000_000 } = {}) {
  const time = { wall, monotonic: 5000, database }
  const clock = createDatabaseClock(
    () => time.wall,
    () => time.monotonic,
  )
  const pass = (milliseconds: number) => {
    for (const name of ['wall', 'monotonic', 'database'] as const) time[name] += milliseconds
  }
  const synchronize = (roundTrip = 0) =>
    clock.synchronize(async () => {
      pass(roundTrip / 2)
      const read = time.database
      pass(roundTrip / 2)
      return read
    })
  return { time, clock, pass, synchronize }
}

describe('database clock', () => {
  test('is that of the machine until the first reading', () => {
    const { clock, pass } = openClocks()
    expect(clock.now()).toBe(1_000_000)
    pass(300)
    expect(clock.now()).toBe(1_000_300)
  })

  test.each([600_000, -600_000, 60_000, 1500])(
    'is that of the database if the machine is %i ms ahead',
    async (ahead) => {
      const { clock, pass, synchronize, time } = openClocks({ wall: 1_000_000 + ahead })
      expect(await synchronize(20)).toBe(ahead)
      expect(clock.now()).toBe(time.database)
      pass(10_000)
      expect(clock.now()).toBe(time.database)
    },
  )

  test('does not follow a machine whose clock is set back or forward', () => {
    const { clock, pass, time } = openClocks()
    for (const step of [-600_000, 3_600_000]) {
      time.wall += step
      const before = clock.now()
      pass(1)
      expect(clock.now()).toBe(before + 1)
    }
  })

  test('does not jitter with the time that a reading takes', async () => {
    const { clock, synchronize, time } = openClocks()
    for (const roundTrip of [0, 3, 900, 4000, 1]) {
      await synchronize(roundTrip)
      expect(clock.now()).toBe(time.database)
    }
  })

  test('follows a database whose clock was set', async () => {
    const { clock, synchronize, time } = openClocks()
    time.database -= 30_000
    await synchronize(2)
    expect(clock.now()).toBe(time.database)
  })

  test('stays as it is if the reading fails', async () => {
    const { clock } = openClocks()
    const failing = clock.synchronize(() => Promise.reject(new Error('unavailable')))
    expect(await failing.catch((error: Error) => error.message)).toBe('unavailable')
    expect(clock.now()).toBe(1_000_000)
  })
})
