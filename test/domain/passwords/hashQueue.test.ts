import { describe, expect, test } from 'bun:test'
import { createHashQueue, hashQueueLimits } from '../../../src/domain/passwords/hashQueue.ts'
import { AppError } from '../../../src/error.ts'

function fixture({ places = 2, queue = 3 } = {}) {
  const time = { now: 0 }
  const hashing = createHashQueue({ slots: places, queue }, () => time.now)
  const began: number[] = []
  const ends: PromiseWithResolvers<number>[] = []
  const outcomes: Promise<number | string>[] = []
  const submit = (signal?: AbortSignal) => {
    const own = outcomes.length
    ends.push(Promise.withResolvers<number>())
    const work = () => {
      began.push(own)
      return ends[own]?.promise as Promise<number>
    }
    outcomes.push(hashing.run(work, signal).catch((error) => (error instanceof AppError ? error.code : String(error))))
  }
  const end = async (own: number) => {
    ends[own]?.resolve(own)
    await outcomes[own]
    await Promise.resolve()
  }
  return { time, hashing, began, outcomes, submit, end, ends }
}

describe('the places for hashes', () => {
  test('are no more than were given, and go to whoever came first', async () => {
    const { hashing, began, submit, end } = fixture()
    for (let count = 0; count < 5; count++) submit()
    expect(began).toEqual([0, 1])
    expect([hashing.running, hashing.waiting]).toEqual([2, 3])
    await end(1)
    expect(began).toEqual([0, 1, 2])
    await end(0)
    await end(2)
    expect(began).toEqual([0, 1, 2, 3, 4])
    await end(3)
    await end(4)
    expect([hashing.running, hashing.waiting]).toEqual([0, 0])
  })

  test('refuse whoever finds the queue full, with the seconds to wait, and work of theirs never begins', async () => {
    const { began, outcomes, submit, end, hashing } = fixture()
    for (let count = 0; count < 6; count++) submit()
    expect(await outcomes[5]).toBe('overloaded')
    await expect(hashing.run(async () => 0)).rejects.toMatchObject({ code: 'overloaded', retryAfter: 1 })
    for (let own = 0; own < 5; own++) await end(own)
    expect(began).toEqual([0, 1, 2, 3, 4])
  })

  test('are given up by a client that goes away while it waits, and not before the hash ends by one that has begun', async () => {
    const { began, outcomes, submit, end, hashing } = fixture({ places: 1 })
    const [running, waiting] = [new AbortController(), new AbortController()]
    submit(running.signal)
    submit(waiting.signal)
    submit()
    running.abort()
    waiting.abort()
    expect(await outcomes[1]).toBe('overloaded')
    expect([hashing.running, hashing.waiting]).toEqual([1, 1])
    expect(began).toEqual([0])
    await end(0)
    expect(began).toEqual([0, 2])
    await end(2)
    expect(hashing.running).toBe(0)
  })

  test('are free again after work that failed', async () => {
    const hashing = createHashQueue({ slots: 1, queue: 1 }, () => 0)
    const failing = hashing.run(async () => {
      throw new Error('broken')
    })
    await expect(failing).rejects.toThrow('broken')
    expect(await hashing.run(async () => 'done')).toBe('done')
  })

  test('are not for whoever has waited longer than anybody waits for an answer', async () => {
    const { time, began, outcomes, submit, end } = fixture({ places: 1 })
    submit()
    submit()
    time.now += 20_000
    submit()
    await end(0)
    expect(await outcomes[1]).toBe('overloaded')
    expect(began).toEqual([0, 2])
    await end(2)
  })

  test('say to work whether it has waited', async () => {
    const hashing = createHashQueue({ slots: 1, queue: 1 }, () => 0)
    const first = hashing.run(async (hasWaited) => hasWaited)
    const second = hashing.run(async (hasWaited) => hasWaited)
    expect(await Promise.all([first, second])).toEqual([false, true])
  })
})

describe('the memory that one hash may take', () => {
  const mebibyte = 1024 * 1024
  test.each([
    ['a share for each place of half of what the process has', 2, 400, 100],
    ['half of it where there is one place', 1, 400, 200],
    ['what our own hashes take, at the least', 4, 100, 64],
  ])('is %s', (_what, places, mebibytes, expected) => {
    const { memory } = hashQueueLimits(places, { memoryKib: 65_536, timeCost: 2 }, mebibytes * mebibyte)
    expect(memory).toBe(expected * mebibyte)
  })

  test('has no bound where the process has none', () => {
    expect(hashQueueLimits(2, { memoryKib: 65_536, timeCost: 2 }, Number.POSITIVE_INFINITY).memory).toBe(
      Number.POSITIVE_INFINITY,
    )
  })
})
