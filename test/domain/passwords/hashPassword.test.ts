import { describe, expect, test } from 'bun:test'
import { hashPassword } from '../../../src/domain/passwords/hashPassword.ts'
import { verifyPassword } from '../../../src/domain/passwords/verifyPassword.ts'

const cost = { memoryKib: 8192, timeCost: 1 }

describe('hashPassword', () => {
  test('returns argon2id of the given cost', async () => {
    expect(await hashPassword('changeme', cost)).toStartWith('$argon2id$v=19$m=8192,t=1,p=1$')
  })

  test('returns a hash that matches its password and no other', async () => {
    const hash = await hashPassword('changeme', cost)
    expect(await verifyPassword('changeme', hash)).toBe('right')
    for (const other of ['Changeme', 'changeme ', 'changem', 'changeme\0']) {
      expect(await verifyPassword(other, hash)).toBe('wrong')
    }
  })

  test('normalizes a run of 30 combining marks', async () => {
    const written = withMarks(30)
    const sorted = `changeme${'\u0316'.repeat(29)}\u0300`
    const hash = await hashPassword(written, cost)
    expect(await verifyPassword(written, hash)).toBe('right')
    expect(await verifyPassword(sorted, hash)).toBe('right')
    expect(await Bun.password.verify(sorted.normalize('NFC'), hash)).toBe(true)
  })

  // Sorting thousands of them blocks the server for seconds.
  test('does not normalize a run of 31 combining marks', async () => {
    const written = withMarks(31)
    const sorted = `changeme${'\u0316'.repeat(30)}\u0300`
    const hash = await hashPassword(written, cost)
    expect(await verifyPassword(written, hash)).toBe('right')
    expect(await verifyPassword(sorted, hash)).toBe('wrong')
    expect(await Bun.password.verify(written, hash)).toBe(true)
  })
})

/** The first mark sorts after the others. */
function withMarks(count: number): string {
  return `changeme${'\u0300'}${'\u0316'.repeat(count - 1)}`
}
