import { describe, expect, test } from 'bun:test'
import { bunArgon2 } from '../../../src/domain/passwords/argon2.ts'
import {
  createRejectionWork,
  createRejectionWorkReader,
  type RejectionWork,
} from '../../../src/domain/passwords/rejectionWork.ts'

const bcrypt = (cost: string) => `$2b$${cost}$${'a'.repeat(53)}`
const argon2 = (memoryKib: number, passes = 2) =>
  `$argon2id$v=19$m=${memoryKib},t=${passes},p=1$${'A'.repeat(43)}$${'A'.repeat(43)}`
const workOf = (memory?: number) => createRejectionWork(() => bunArgon2, { memoryKib: 1024, timeCost: 2 }, memory)
const amountsOf = (work: RejectionWork) => work.all().map(({ kind, amount }) => [kind, amount] as const)
const pages = (...all: string[][]) =>
  async function* () {
    yield* all
  }

describe('the work of a rejection', () => {
  test('is a new hash, and the costliest of each kind on any page, until it is gone', async () => {
    const work = workOf()
    expect(amountsOf(work)).toEqual([['argon2id by bun with m=1024, p=1', 2]])
    await work.reread(pages([bcrypt('10')], [bcrypt('12'), argon2(8192)], [bcrypt('11')], []))
    expect(amountsOf(work)).toEqual([
      ['bcrypt', 4096],
      ['argon2id by bun with m=8192, p=1', 2],
      ['argon2id by bun with m=1024, p=1', 2],
    ])
    await work.reread(pages([bcrypt('10')]))
    expect(amountsOf(work)).toEqual([
      ['bcrypt', 1024],
      ['argon2id by bun with m=1024, p=1', 2],
    ])
  })

  test('is as many passes as the costliest hash of the kind of a new one has', async () => {
    const work = workOf()
    await work.reread(pages([argon2(1024, 1), bcrypt('04')]))
    expect(amountsOf(work).at(-1)).toEqual(['argon2id by bun with m=1024, p=1', 2])
    await work.reread(pages([argon2(1024, 3), bcrypt('04')]))
    expect(amountsOf(work).at(-1)).toEqual(['argon2id by bun with m=1024, p=1', 3])
  })

  test('rises at once when a sign-in finds a costlier hash, during a reading too', async () => {
    const work = workOf()
    await work.reread(async function* () {
      yield [bcrypt('04')]
      work.notice(bcrypt('11'))
      work.notice(undefined)
    })
    expect(amountsOf(work).slice(0, -1)).toEqual([['bcrypt', 2048]])
  })

  test('stays the same if a reading fails', async () => {
    const work = workOf()
    await work.reread(pages([bcrypt('12')]))
    const failing = async function* () {
      yield [bcrypt('04')]
      throw new Error('unavailable')
    }
    await expect(work.reread(failing)).rejects.toThrow('unavailable')
    expect(amountsOf(work).slice(0, -1)).toEqual([['bcrypt', 4096]])
  })

  test('includes no hash that is malformed, over the cost limit, or over the memory limit', async () => {
    const work = workOf(16 * 1024 * 1024)
    await work.reread(pages(['changeme', bcrypt('31'), argon2(65_536), argon2(8192)]))
    expect(amountsOf(work).slice(0, -1)).toEqual([['argon2id by bun with m=8192, p=1', 2]])
  })

  test('is a new hash and the six costliest kinds, however many there are', async () => {
    const work = workOf()
    await work.reread(pages(Array.from({ length: 100 }, (_, index) => argon2(2000 + ((index * 37) % 100)))))
    const kinds = amountsOf(work).map(([kind]) => kind)
    expect(kinds.sort()).toEqual(
      [1024, 2094, 2095, 2096, 2097, 2098, 2099].map((memory) => `argon2id by bun with m=${memory}, p=1`),
    )
  })
})

describe('the reader of hashes', () => {
  function readerOf(now: () => number, read: () => Promise<string[]>) {
    const rejectionWork = workOf()
    const users = { sampleHashes: async () => ({ hashes: await read(), next: undefined }) }
    const reread = createRejectionWorkReader({ users, monotonicClock: now, rejectionWork }, () => false)
    return { reread, rejectionWork }
  }

  test('reads once at a time', async () => {
    let reads = 0
    const page = Promise.withResolvers<string[]>()
    const { reread, rejectionWork } = readerOf(
      () => 0,
      () => {
        reads++
        return page.promise
      },
    )
    const first = reread()
    await reread()
    page.resolve([bcrypt('10')])
    await first
    expect(reads).toBe(1)
    expect(amountsOf(rejectionWork).slice(0, -1)).toEqual([['bcrypt', 1024]])
  })

  test('waits a hundred times as long as a reading took, after a failed one too', async () => {
    let now = 0
    let reads = 0
    let fails = false
    const { reread } = readerOf(
      () => now,
      async () => {
        reads++
        now += 1000
        if (fails) throw new Error('unavailable')
        return []
      },
    )
    await reread()
    now = 100_999
    await reread()
    expect(reads).toBe(1)
    now = 101_000
    fails = true
    await expect(reread()).rejects.toThrow('unavailable')
    now = 201_999
    await reread()
    expect(reads).toBe(2)
  })
})
