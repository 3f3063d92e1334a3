import { describe, expect, test } from 'bun:test'
import { scryptSync } from 'node:crypto'
import { hashPassword } from '../../../src/domain/passwords/hashPassword.ts'
import { verifyPassword } from '../../../src/domain/passwords/verifyPassword.ts'
import { hashByArgon2Cffi, hashByPwdlib, password } from '../hashes/formats.ts'

describe('verifyPassword', () => {
  test.each([
    ['pwdlib', hashByPwdlib],
    ['argon2-cffi', hashByArgon2Cffi],
  ])('verifies a hash made by %s', async (_maker, hash) => {
    expect(await verifyPassword(password, hash)).toBe('right')
    expect(await verifyPassword(`${password}r`, hash)).toBe('wrong')
  })

  test('reads 72 bytes of the password for bcrypt, like other programs', async () => {
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
  ])('rejects every password for the malformed hash %s', async (hash) => {
    expect(await verifyPassword('changeme', hash)).not.toBe('right')
  })

  test.each([
    undefined,
    '',
    'changeme',
    '$argon2id$v=19$m=524289,t=1,p=1$c2FsdHNhbHQ$c2FsdHNhbHQ',
    '$argon2id$v=19$m=524288,t=9,p=1$c2FsdHNhbHQ$c2FsdHNhbHQ',
    `$2b$31$${'a'.repeat(53)}`,
  ])('returns unusable without computing anything for the hash %s', async (hash) => {
    expect(await verifyPassword('changeme', hash)).toBe('unusable')
  })
})

describe('the memory limit of verifyPassword', async () => {
  const argon2 = await hashPassword('changeme', { memoryKib: 8192, timeCost: 1 })
  const digest = scryptSync('changeme', 'salt', 32).toString('base64').slice(0, -1)
  const scrypt = `$scrypt$ln=14,r=8,p=1$c2FsdA$${digest}`
  const mebibyte = 1024 * 1024

  test.each([
    ['argon2', argon2, 8],
    ['scrypt', scrypt, 16],
  ])('rejects an %s hash that needs one byte more', async (_kind, hash, mebibytes) => {
    expect(await verifyPassword('changeme', hash, mebibytes * mebibyte)).toBe('right')
    expect(await verifyPassword('changeme', hash, mebibytes * mebibyte - 1)).toBe('unusable')
  })
})
