import { describe, expect, test } from 'bun:test'
import { hashPassword, verifyPassword } from '../../src/domain/passwords.ts'
import { hashByArgon2Cffi, hashByPwdlib, password } from './foreignHashes.ts'

const cost = { memoryKib: 8192, timeCost: 1 }

describe('a password hash', () => {
  test('is argon2id of the cost that was asked for', async () => {
    expect(await hashPassword('changeme', cost)).toStartWith('$argon2id$v=19$m=8192,t=1,p=1$')
  })

  test('fits its password and no other', async () => {
    const hash = await hashPassword('changeme', cost)
    expect(await verifyPassword('changeme', hash, cost)).toBe(true)
    for (const other of ['Changeme', 'changeme ', 'changem', 'changeme\0']) {
      expect(await verifyPassword(other, hash, cost)).toBe(false)
    }
  })

  test.each([
    ['pwdlib', hashByPwdlib],
    ['argon2-cffi', hashByArgon2Cffi],
  ])('of %s fits its password', async (_maker, hash) => {
    expect(await verifyPassword(password, hash, cost)).toBe(true)
    expect(await verifyPassword(`${password}r`, hash, cost)).toBe(false)
  })

  test('of bcrypt reads 72 bytes and no more, as every other program does', async () => {
    const hash = await Bun.password.hash('a'.repeat(72), { algorithm: 'bcrypt', cost: 4 })
    expect(await verifyPassword('a'.repeat(100), hash, cost)).toBe(true)
    expect(await verifyPassword('a'.repeat(71), hash, cost)).toBe(false)
  })

  test.each([
    '$argon2id$v=19$m=8,t=0,p=1$c2FsdHNhbHQ$c2FsdHNhbHQ',
    '$argon2id$v=19$m=0,t=1,p=1$c2FsdHNhbHQ$c2FsdHNhbHQ',
    '$argon2id$v=19$m=8192,t=1,p=0$c2FsdHNhbHQ$c2FsdHNhbHQ',
    '$argon2id$v=19$m=8192,t=1,p=1$cw$cw',
    `$2b$03$${'a'.repeat(53)}`,
  ])('that only looks like one (%s) fits nothing', async (hash) => {
    expect(await verifyPassword('changeme', hash, cost)).toBe(false)
  })

  test.each([
    undefined,
    '',
    'changeme',
    '$argon2id$v=19$m=4194305,t=1,p=1$c2FsdHNhbHQ$c2FsdHNhbHQ',
    `$2b$31$${'a'.repeat(53)}`,
  ])('that is %s fits nothing, at the price of a hash and no more', async (hash) => {
    const started = process.cpuUsage()
    expect(await verifyPassword('changeme', hash, { memoryKib: 65536, timeCost: 2 })).toBe(false)
    // Work, not time: an honest hash of this cost is tens of milliseconds of processor, a shortcut a few microseconds.
    expect(process.cpuUsage(started).user + process.cpuUsage(started).system).toBeGreaterThan(10_000)
  })
})
