import { describe, expect, test } from 'bun:test'
import { scryptSync } from 'node:crypto'
import { equalizeCost, hashPassword, verifyPassword } from '../../../src/domain/passwords/passwords.ts'
import { hashByArgon2Cffi, hashByPwdlib, password } from '../hashes/formats.ts'

const cost = { memoryKib: 8192, timeCost: 1 }

describe('a password hash', () => {
  test('is argon2id of the cost that was asked for', async () => {
    expect(await hashPassword('changeme', cost)).toStartWith('$argon2id$v=19$m=8192,t=1,p=1$')
  })

  test('fits its password and no other', async () => {
    const hash = await hashPassword('changeme', cost)
    expect(await verifyPassword('changeme', hash)).toBe('right')
    for (const other of ['Changeme', 'changeme ', 'changem', 'changeme\0']) {
      expect(await verifyPassword(other, hash)).toBe('wrong')
    }
  })

  test.each([
    ['thirty', 30, '\u0316'.repeat(29)],
    // Sorting thousands takes seconds, in which nobody else is answered.
    ['thirty-one', 31, undefined],
  ])('of a text with %s combining marks in a row is of one spelling, or of each its own', async (_, count, sorted) => {
    const written = `changeme${'\u0300'}${'\u0316'.repeat(count - 1)}`
    const composed = `changeme${sorted}\u0300`
    const hash = await hashPassword(written, cost)
    expect(await verifyPassword(written, hash)).toBe('right')
    expect(await verifyPassword(composed, hash)).toBe(sorted === undefined ? 'wrong' : 'right')
    expect(await Bun.password.verify(sorted === undefined ? written : composed.normalize('NFC'), hash)).toBe(true)
  })

  test.each([
    ['pwdlib', hashByPwdlib],
    ['argon2-cffi', hashByArgon2Cffi],
  ])('of %s fits its password', async (_maker, hash) => {
    expect(await verifyPassword(password, hash)).toBe('right')
    expect(await verifyPassword(`${password}r`, hash)).toBe('wrong')
  })

  test('of bcrypt reads 72 bytes and no more, as every other program does', async () => {
    const hash = await Bun.password.hash('a'.repeat(72), { algorithm: 'bcrypt', cost: 4 })
    expect(await verifyPassword('a'.repeat(100), hash)).toBe('right')
    expect(await verifyPassword('a'.repeat(71), hash)).toBe('wrong')
  })

  test.each([
    '$argon2id$v=19$m=8,t=0,p=1$c2FsdHNhbHQ$c2FsdHNhbHQ',
    '$argon2id$v=19$m=0,t=1,p=1$c2FsdHNhbHQ$c2FsdHNhbHQ',
    '$argon2id$v=19$m=8192,t=1,p=0$c2FsdHNhbHQ$c2FsdHNhbHQ',
    '$argon2id$v=19$m=8192,t=1,p=1$cw$cw',
    `$2b$03$${'a'.repeat(53)}`,
  ])('that only looks like one (%s) fits nothing', async (hash) => {
    expect(await verifyPassword('changeme', hash)).not.toBe('right')
  })

  test.each([
    undefined,
    '',
    'changeme',
    '$argon2id$v=19$m=524289,t=1,p=1$c2FsdHNhbHQ$c2FsdHNhbHQ',
    '$argon2id$v=19$m=524288,t=9,p=1$c2FsdHNhbHQ$c2FsdHNhbHQ',
    `$2b$31$${'a'.repeat(53)}`,
  ])('that is %s fits nothing, and costs nothing by itself', async (hash) => {
    expect(await verifyPassword('changeme', hash)).toBe('unusable')
  })
})

describe('a hash that takes more memory than one may here', async () => {
  const ours = await hashPassword('changeme', cost)
  const mebibyte = 1024 * 1024
  test.each([
    ['argon2', ours, 8],
    [
      'scrypt',
      `$scrypt$ln=14,r=8,p=1$c2FsdA$${scryptSync('changeme', 'salt', 32).toString('base64').slice(0, -1)}`,
      16,
    ],
  ])('(%s) fits nothing, and costs nothing by itself', async (_kind, hash, mebibytes) => {
    expect(await verifyPassword('changeme', hash, mebibytes * mebibyte)).toBe('right')
    expect(await verifyPassword('changeme', hash, mebibytes * mebibyte - 1)).toBe('unusable')
  })
})

describe('a refusal', async () => {
  /**
   * Work, not time: what the processor did for each, in turn; the least of several, which is without the neighbours' share. Where
   * neighbours never rest, it takes more runs until the least is that.
   */
  async function workBeside(expected: () => Promise<unknown>, action: () => Promise<unknown>): Promise<number> {
    const least = { expected: Number.POSITIVE_INFINITY, action: Number.POSITIVE_INFINITY }
    for (let run = 1; ; run++) {
      least.expected = Math.min(least.expected, await workOf(expected))
      least.action = Math.min(least.action, await workOf(action))
      const ratio = least.action / least.expected
      if (run >= 35 || (run >= 7 && ratio > lower && ratio < upper)) return ratio
    }
  }

  async function workOf(action: () => Promise<unknown>): Promise<number> {
    const started = process.cpuUsage()
    await action()
    const { user, system } = process.cpuUsage(started)
    return user + system
  }

  const [lower, upper] = [0.8, 1.25]
  const today = { memoryKib: 65536, timeCost: 2 }
  const hashOfToday = await hashPassword('right', today)
  const refuse = async (hash: string | undefined) => {
    await equalizeCost('wrong', hash, await verifyPassword('wrong', hash), today)
  }

  test.each([
    ['nobody', undefined],
    ['a hash that is none', 'changeme'],
    ['a hash that is too dear', '$argon2id$v=19$m=4194305,t=1,p=1$c2FsdHNhbHQ$c2FsdHNhbHQ'],
    ['a hash of an eighth of the memory', await hashPassword('right', { memoryKib: 8192, timeCost: 2 })],
    ['a hash of 19 MiB', await hashPassword('right', { memoryKib: 19_456, timeCost: 2 })],
    ['a hash of one pass', await hashPassword('right', { memoryKib: 65_536, timeCost: 1 })],
    ['a cheap bcrypt', await Bun.password.hash('right', { algorithm: 'bcrypt', cost: 8 })],
    ["Django's PBKDF2 of 2021", `pbkdf2_sha256$260000$salt$${'A'.repeat(43)}=`],
    ["Keycloak's PBKDF2", `$pbkdf2-sha512$210000$c2FsdA$${'A'.repeat(86)}`],
    ["Django's scrypt", `scrypt$16384$salt$8$1$${'A'.repeat(86)}==`],
    ["Django's bcrypt over SHA-256", `bcrypt_sha256$$2b$09$${'a'.repeat(53)}`],
  ])('of %s is as much work as one of a hash of today', async (_what, hash) => {
    const ratio = await workBeside(
      () => refuse(hashOfToday),
      () => refuse(hash),
    )
    expect(ratio).toBeGreaterThan(lower)
    expect(ratio).toBeLessThan(upper)
  })
})
