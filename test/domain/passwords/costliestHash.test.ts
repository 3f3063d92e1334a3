import { describe, expect, test } from 'bun:test'
import { bunArgon2 } from '../../../src/domain/passwords/argon2.ts'
import { createCostliestHash, createCostliestHashReader } from '../../../src/domain/passwords/costliestHash.ts'
import { readHash } from '../../../src/domain/passwords/readHash.ts'

const bcrypt = (cost: string) => `$2b$${cost}$${'a'.repeat(53)}`
const argon2 = (memoryKib: number) => `$argon2id$v=19$m=${memoryKib},t=2,p=1$${'A'.repeat(43)}$${'A'.repeat(43)}`
const shareOf = (hash: string) => readHash(hash)?.share ?? Number.NaN
const pages = (...all: string[][]) =>
  async function* () {
    yield* all
  }

describe('the costliest hash', () => {
  test('is that of all pages, and falls when it is gone', async () => {
    const costliest = createCostliestHash(() => bunArgon2)
    expect(costliest.share()).toBe(0)
    await costliest.reread(pages([bcrypt('10')], [bcrypt('12'), argon2(8192)], []))
    expect(costliest.share()).toBe(shareOf(bcrypt('12')))
    await costliest.reread(pages([bcrypt('10')]))
    expect(costliest.share()).toBe(shareOf(bcrypt('10')))
  })

  test('rises at once when a sign-in finds a costlier one, during a reading too', async () => {
    const costliest = createCostliestHash(() => bunArgon2)
    await costliest.reread(async function* () {
      yield [bcrypt('04')]
      costliest.notice(bcrypt('11'))
      costliest.notice(undefined)
    })
    expect(costliest.share()).toBe(shareOf(bcrypt('11')))
  })

  test('keeps the last one if a reading fails', async () => {
    const costliest = createCostliestHash(() => bunArgon2)
    await costliest.reread(pages([bcrypt('12')]))
    const failing = async function* () {
      yield [bcrypt('04')]
      throw new Error('unavailable')
    }
    expect(costliest.reread(failing)).rejects.toThrow()
    expect(costliest.share()).toBe(shareOf(bcrypt('12')))
  })

  test('is none that is malformed, over the cost limit, or over the memory limit', async () => {
    const costliest = createCostliestHash(() => bunArgon2, 16 * 1024 * 1024)
    await costliest.reread(pages(['changeme', bcrypt('31'), argon2(65_536), argon2(8192)]))
    expect(costliest.share()).toBe(shareOf(argon2(8192)))
  })
})

describe('the reader of the costliest hash', () => {
  function readerOf(now: () => number, read: () => Promise<string[]>) {
    const costliestHash = createCostliestHash(() => bunArgon2)
    const users = { sampleHashes: async () => ({ hashes: await read(), next: undefined }) }
    const reread = createCostliestHashReader({ users, monotonicClock: now, costliestHash }, () => false)
    return { reread, share: costliestHash.share }
  }

  test('reads once at a time', async () => {
    let reads = 0
    const page = Promise.withResolvers<string[]>()
    const { reread, share } = readerOf(
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
    expect(share()).toBe(shareOf(bcrypt('10')))
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
