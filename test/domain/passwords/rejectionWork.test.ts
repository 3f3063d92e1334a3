import { describe, expect, spyOn, test } from 'bun:test'
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

describe('memory is freed', () => {
  const native = { ...bunArgon2, name: 'native' as const }
  const newHashCost = { memoryKib: 1024, timeCost: 2 }
  const scrypt = (exponent: number) => `$scrypt$ln=${exponent},r=8,p=1$${'A'.repeat(22)}$${'A'.repeat(43)}`
  const slot = 4 * 1024 * 1024

  test.each([
    ['by Bun.password beside other kinds', bunArgon2, undefined, [bcrypt('10')], true, 1],
    ['not by Bun.password without other kinds', bunArgon2, undefined, [argon2(1024)], true, 0],
    ['not if all of a rejection fits into a slot', native, slot, [scrypt(11), argon2(2000)], true, 0],
    ['if it does not fit', native, slot, [scrypt(11), scrypt(10), argon2(2000)], true, 1],
    ['not if the process keeps none of what does not fit', native, slot, [argon2(3000), argon2(3001)], true, 0],
    ['not if the process does not keep it', native, slot, [scrypt(11), scrypt(10), argon2(2000)], false, 0],
    ['not without a limit', native, undefined, [scrypt(16), scrypt(15)], true, 0],
  ] as const)('%s', (_what, verifier, memory, stored, isKept, times) => {
    const work = createRejectionWork(() => verifier, newHashCost, memory)
    for (const hash of stored) work.notice(hash)
    const collect = spyOn(Bun, 'gc').mockImplementation(() => {})
    try {
      work.free({ isKept })
      expect(collect).toHaveBeenCalledTimes(times)
    } finally {
      collect.mockRestore()
    }
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
