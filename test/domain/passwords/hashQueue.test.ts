import { describe, expect, test } from 'bun:test'
import { createHashQueue, hashQueueLimits } from '../../../src/domain/passwords/hashQueue.ts'
import { AppError } from '../../../src/error.ts'

describe('hash queue', () => {
  test('runs as many hashes as it has slots, in order of arrival', async () => {
    const { hashQueue, started, submit, finish } = openHashQueue()
    for (let count = 0; count < 5; count++) submit()
    expect(started).toEqual([0, 1])
    expect([hashQueue.running, hashQueue.waiting]).toEqual([2, 3])
    await finish(1)
    expect(started).toEqual([0, 1, 2])
    await finish(0)
    await finish(2)
    expect(started).toEqual([0, 1, 2, 3, 4])
    await finish(3)
    await finish(4)
    expect([hashQueue.running, hashQueue.waiting]).toEqual([0, 0])
  })

  test('rejects work with overloaded and a retry time when it is full, and never starts it', async () => {
    const { hashQueue, started, outcomes, submit, finish } = openHashQueue()
    for (let count = 0; count < 6; count++) submit()
    expect(await outcomes[5]).toBe('overloaded')
    await expect(hashQueue.run(async () => 0)).rejects.toMatchObject({ code: 'overloaded', retryAfter: 1 })
    for (let index = 0; index < 5; index++) await finish(index)
    expect(started).toEqual([0, 1, 2, 3, 4])
  })

  test('drops aborted work while it waits, and keeps the slot of aborted work until its hash ends', async () => {
    const { hashQueue, started, outcomes, submit, finish } = openHashQueue({ slots: 1 })
    const [running, waiting] = [new AbortController(), new AbortController()]
    submit(running.signal)
    submit(waiting.signal)
    submit()
    running.abort()
    waiting.abort()
    expect(await outcomes[1]).toBe('overloaded')
    expect([hashQueue.running, hashQueue.waiting]).toEqual([1, 1])
    expect(started).toEqual([0])
    await finish(0)
    expect(started).toEqual([0, 2])
    await finish(2)
    expect(hashQueue.running).toBe(0)
  })

  test('frees the slot after work that failed', async () => {
    const hashQueue = createHashQueue({ slots: 1, queue: 1 }, () => 0)
    const failing = hashQueue.run(async () => {
      throw new Error('broken')
    })
    await expect(failing).rejects.toThrow('broken')
    expect(await hashQueue.run(async () => 'done')).toBe('done')
  })

  test('rejects work that has waited longer than a client waits for a response', async () => {
    const { time, started, outcomes, submit, finish } = openHashQueue({ slots: 1 })
    submit()
    submit()
    time.now += 20_000
    submit()
    await finish(0)
    expect(await outcomes[1]).toBe('overloaded')
    expect(started).toEqual([0, 2])
    await finish(2)
  })

  test('reports to work whether it has waited', async () => {
    const hashQueue = createHashQueue({ slots: 1, queue: 1 }, () => 0)
    const first = hashQueue.run(async (hasWaited) => hasWaited)
    const second = hashQueue.run(async (hasWaited) => hasWaited)
    expect(await Promise.all([first, second])).toEqual([false, true])
  })
})

const mebibyte = 1024 * 1024
const cost = { memoryKib: 65_536, timeCost: 2 }

describe('the number of slots', () => {
  test.each([
    ['embedded', 256, 1],
    ['embedded', 340, 1],
    ['embedded', 348, 2],
    ['embedded', 64, 1],
    ['server', 192, 1],
    ['server', 228, 2],
    ['server', 100, 1],
  ] as const)('leaves the process (%s) what it needs of %i MiB: %i', (database, mebibytes, expected) => {
    expect(hashQueueLimits('auto', cost, database, mebibytes * mebibyte, 2).slots).toBe(expected)
  })

  test('is that of the cores if memory suffices, and what PASSWORD_CONCURRENCY says', () => {
    expect(hashQueueLimits('auto', cost, 'embedded', Number.POSITIVE_INFINITY, 8).slots).toBe(8)
    expect(hashQueueLimits(4, cost, 'embedded', 256 * mebibyte, 1).slots).toBe(4)
  })
})

describe('the memory limit of one hash', () => {
  test.each([
    ['what the process leaves, divided by the slots', 2, 400, 150],
    ['what the process leaves, for a single slot', 1, 400, 300],
    ['at least what our own hashes need', 4, 100, 64],
  ])('is %s', (_what, slots, mebibytes, expected) => {
    const { memory } = hashQueueLimits(slots, cost, 'server', mebibytes * mebibyte)
    expect(memory).toBe(expected * mebibyte)
  })

  test('is infinite if the process has no memory limit', () => {
    expect(hashQueueLimits(2, cost, 'server', Number.POSITIVE_INFINITY).memory).toBe(Number.POSITIVE_INFINITY)
  })
})

/**
 * Opens a queue whose work ends when the test says so. Work is identified by its index, in order of
 * submission.
 */
function openHashQueue({ slots = 2, queue = 3 } = {}) {
  const time = { now: 0 }
  const hashQueue = createHashQueue({ slots, queue }, () => time.now)
  const started: number[] = []
  const work: PromiseWithResolvers<number>[] = []
  const outcomes: Promise<number | string>[] = []
  const submit = (signal?: AbortSignal) => {
    const index = outcomes.length
    work.push(Promise.withResolvers<number>())
    const run = () => {
      started.push(index)
      return work[index]?.promise as Promise<number>
    }
    outcomes.push(hashQueue.run(run, signal).catch((error) => (error instanceof AppError ? error.code : String(error))))
  }
  const finish = async (index: number) => {
    work[index]?.resolve(index)
    await outcomes[index]
    await Promise.resolve()
  }
  return { time, hashQueue, started, outcomes, submit, finish }
}
