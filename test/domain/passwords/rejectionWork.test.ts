import { describe, expect, spyOn, test } from 'bun:test'
import type { HashWork } from '../../../src/domain/hashes/hashWork.ts'
import { type Argon2Verifier, bunArgon2, newHashWork } from '../../../src/domain/passwords/argon2.ts'
import { hashInSlot } from '../../../src/domain/passwords/hashPassword.ts'
import { createHashQueue } from '../../../src/domain/passwords/hashQueue.ts'
import { readHash } from '../../../src/domain/passwords/readHash.ts'
import {
  createRejectionWork,
  createRejectionWorkReader,
  type RejectionWork,
} from '../../../src/domain/passwords/rejectionWork.ts'

const bcrypt = (cost: string) => `$2b$${cost}$${'a'.repeat(53)}`
const argon2 = (memoryKib: number, passes = 2) =>
  `$argon2id$v=19$m=${memoryKib},t=${passes},p=1$${'A'.repeat(43)}$${'A'.repeat(43)}`
const workOf = (memory?: number) => createRejectionWork(() => bunArgon2, { memoryKib: 1024, timeCost: 2 }, memory)
const amountsOf = (work: RejectionWork) => work.required().map(({ kind, amount }) => [kind, amount] as const)
const pages = (...all: string[][]) =>
  async function* () {
    yield* all
  }

const newHash = ['argon2id by bun with m=1024, t=2, p=1', 1] as const

describe('the work of a rejection', () => {
  test('is the costliest of each kind on any page until it is gone, and a new hash', async () => {
    const work = workOf()
    expect(amountsOf(work)).toEqual([newHash])
    await work.reread(pages([bcrypt('10')], [bcrypt('12'), argon2(8192), argon2(1024)], [bcrypt('11')], []))
    expect(amountsOf(work)).toEqual([['bcrypt', 4096], ['argon2id by bun with m=8192, t=2, p=1', 1], newHash])
    await work.reread(pages([bcrypt('10')]))
    expect(amountsOf(work)).toEqual([['bcrypt', 1024], newHash])
  })

  test('rises at once when a sign-in finds a costlier hash, during a reading too', async () => {
    const work = workOf()
    await work.reread(async function* () {
      yield [bcrypt('04')]
      work.notice(bcrypt('11'))
      work.notice(undefined)
    })
    expect(amountsOf(work)).toEqual([['bcrypt', 2048], newHash])
  })

  test('stays the same if a reading fails', async () => {
    const work = workOf()
    await work.reread(pages([bcrypt('12')]))
    const failing = async function* () {
      yield [bcrypt('04')]
      throw new Error('unavailable')
    }
    await expect(work.reread(failing)).rejects.toThrow('unavailable')
    expect(amountsOf(work)).toEqual([['bcrypt', 4096], newHash])
  })

  test('includes no hash that is malformed, over the cost limit, or over the memory limit', async () => {
    const work = workOf(16 * 1024 * 1024)
    await work.reread(pages(['changeme', bcrypt('31'), argon2(65_536), argon2(8192)]))
    expect(amountsOf(work)).toEqual([['argon2id by bun with m=8192, t=2, p=1', 1], newHash])
  })

  test('is a new hash and the six costliest kinds, however many there are', async () => {
    const work = workOf()
    await work.reread(pages(Array.from({ length: 100 }, (_, index) => argon2(2000 + ((index * 37) % 100)))))
    const kinds = amountsOf(work).map(([kind]) => kind)
    expect(kinds.sort()).toEqual(
      [1024, 2094, 2095, 2096, 2097, 2098, 2099].map((memory) => `argon2id by bun with m=${memory}, t=2, p=1`),
    )
  })

  test('is at most as much as the costliest hash that is verified, and a new hash', async () => {
    const costliest = [argon2(524_288, 8), argon2(524_280, 8), bcrypt('15')]
    const work = workOf()
    await work.reread(pages(costliest))
    expect(amountsOf(work)).toEqual([['argon2id by bun with m=524288, t=8, p=1', 1], newHash])
    await work.reread(pages([`$pbkdf2-sha512$10000000$c2FsdA$${'A'.repeat(86)}`]))
    expect(amountsOf(work)).toEqual([['PBKDF2 with sha512', 10_000_000], newHash])
  })

  test('omits a kind that exceeds the limit, and keeps those that cost less', async () => {
    const work = workOf()
    await work.reread(pages([argon2(524_288, 8), bcrypt('10')]))
    work.notice(argon2(524_280, 8))
    expect(amountsOf(work)).toEqual([['argon2id by bun with m=524288, t=8, p=1', 1], ['bcrypt', 1024], newHash])
  })
})

describe('freeing the memory of hashes', () => {
  const native = { ...bunArgon2, name: 'native' as const }
  const cost = { memoryKib: 1024, timeCost: 2 }
  const slot = 1.2 * 2 ** 20
  const scrypt = (exponent: number) => `$scrypt$ln=${exponent},r=8,p=1$${'A'.repeat(22)}$${'A'.repeat(43)}`
  const workOfHash = (hash: string, argon2: Argon2Verifier) => readHash(hash, argon2)?.work as HashWork
  const [newByBun, scryptWork] = [newHashWork(cost, bunArgon2), workOfHash(scrypt(9), native)]

  test.each([
    ['collects garbage after Bun.password beside other kinds', bunArgon2, slot, bcrypt('10'), newByBun, 1],
    ['does nothing after Bun.password without other kinds', bunArgon2, slot, argon2(1024), newByBun, 0],
    ['collects garbage after scrypt, which is never the only kind', native, undefined, scrypt(9), scryptWork, 1],
    ['does nothing after the addon', native, slot, bcrypt('10'), newHashWork(cost, native), 0],
    ['collects garbage after a new hash if those of a rejection do not fit', native, slot, bcrypt('10'), newByBun, 1],
    ['does nothing after a new hash if they fit', native, 2 * slot, bcrypt('10'), newByBun, 0],
    ['does nothing after a new hash without a memory limit', native, undefined, scrypt(9), newByBun, 0],
  ] as const)('%s', (_what, verifier, memory, stored, computed, times) => {
    const work = createRejectionWork(() => verifier, cost, memory)
    work.notice(stored)
    const collect = spyOn(Bun, 'gc').mockImplementation(() => {})
    try {
      work.free(computed)
      expect(collect).toHaveBeenCalledTimes(times)
    } finally {
      collect.mockRestore()
    }
  })

  test('follows a hash that is made in a slot', async () => {
    const freed: string[] = []
    const rejectionWork = { ...workOf(), free: ({ kind }: HashWork) => void freed.push(kind) }
    const hashQueue = createHashQueue({ slots: 1, queue: 1 }, performance.now.bind(performance))
    await hashInSlot({ hashQueue, rejectionWork, settings: { hashCost: cost } }, 'password')
    expect(freed).toEqual([newByBun.kind])
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
    expect(amountsOf(rejectionWork)).toEqual([['bcrypt', 1024], newHash])
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
