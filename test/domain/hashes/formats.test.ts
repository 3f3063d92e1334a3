import { describe, expect, test } from 'bun:test'
import { unsupportedHashName } from '../../../src/domain/hashes/unsupported.ts'
import { isOutdated } from '../../../src/domain/passwords/hashPassword.ts'
import { readHash } from '../../../src/domain/passwords/readHash.ts'
import { verifyPassword } from '../../../src/domain/passwords/verifyPassword.ts'
import { password, storedHash, thirdPartyHashes } from './formats.ts'

const cost = { memoryKib: 8192, timeCost: 1 }

describe('a third-party hash', () => {
  test.each(thirdPartyHashes)(
    '(%s) verifies only its own password, both as written and as stored',
    async (_maker, hash) => {
      for (const format of new Set([hash, storedHash({ username: 'ada', hashed_password: hash })])) {
        expect(format.length).toBeLessThanOrEqual(255)
        expect(await verifyPassword(password, format)).toBe('right')
        expect(await verifyPassword(`${password}r`, format)).toBe('wrong')
        expect(await verifyPassword(password.slice(1), format)).toBe('wrong')
      }
    },
  )

  test.each(thirdPartyHashes.filter(([, hash]) => !/^\$?argon2/.test(hash)))('(%s) is outdated', (_maker, hash) => {
    expect(isOutdated(hash, password, cost)).toBe(true)
  })

  test('is not outdated for a password of which bcrypt ignores a part', () => {
    expect(isOutdated(`bcrypt$$2b$12$${'a'.repeat(53)}`, 'x'.repeat(73), cost)).toBe(false)
    expect(isOutdated(`bcrypt_sha256$$2b$12$${'a'.repeat(53)}`, 'x'.repeat(73), cost)).toBe(true)
  })

  test('in bcrypt verifies its password whatever its unused bits are', async () => {
    // The last letters of salt and digest have four and two unused bits; passlib clears them in
    // hashes of older programs.
    const [salt, digest] = ['UgVINJnN6PbE3gfypKh7I', 'nCvZPfe0Wv92HSjHqCJrUkbQAR3373']
    for (const [last, end] of ['eG', 'fG', 'tG', 'eH', 'eJ', 'gI'])
      for (const prefix of ['$2b$04$', '$2a$04$', '$2y$04$', 'bcrypt$$2b$04$']) {
        const hash = `${prefix}${salt}${last}${digest}${end}`
        expect(await verifyPassword('correct', hash)).toBe('right')
        expect(await verifyPassword('incorrect', hash)).toBe('wrong')
        expect(storedHash({ username: 'ada', hashed_password: hash })).toBe(hash.replace('bcrypt$', ''))
      }
  })

  const bcrypt = '$2y$05$zi3Af9NgFe1WuAIifb6CquYSAHpiBilfuKKDMeKu0KsYqFwWQ5SjC'
  const argon2 = '$argon2id$v=19$m=8192,t=1,p=2$WVhWOVUzSXdLODVoTUR1WA$ewNZFz8O8W4kVKewt23ung5s9gIrbGlHhQhNA9WBcIU'

  test.each([
    ['{bcrypt}', bcrypt],
    ['{BCRYPT}', bcrypt],
    ['{CRYPT}', bcrypt],
    ['{crypt}', argon2],
    ['{BLF-CRYPT}', bcrypt],
    ['{ARGON2}', argon2],
    ['{argon2}', argon2],
    ['{ARGON2ID}', argon2],
    ['{argon2@SpringSecurity_v5_8}', argon2],
  ])('after the scheme %s verifies its password, and is stored without the scheme', async (scheme, hash) => {
    for (const format of [scheme + hash, storedHash({ username: 'ada', hashed_password: scheme + hash })]) {
      expect(await verifyPassword(password, format)).toBe('right')
      expect(await verifyPassword(`${password}r`, format)).toBe('wrong')
      expect(isOutdated(format, password, cost)).toBe(true)
    }
    expect(storedHash({ username: 'ada', hashed_password: scheme + hash })).toBe(hash)
  })

  test('is computed off the event loop', async () => {
    const read = readHash(`scrypt:32768:8:8$salt$${'0'.repeat(128)}`)
    let turns = 0
    const timer = setInterval(() => turns++, 1)
    await read?.verify(password)
    clearInterval(timer)
    // Takes hundreds of milliseconds; on this thread, the timer would never fire.
    expect(turns).toBeGreaterThan(0)
  })
})

describe('a hash above the cost limits', () => {
  test.each([
    `pbkdf2_sha256$10000001$salt$${'A'.repeat(43)}=`,
    `pbkdf2_sha1$5000001$salt$${'A'.repeat(43)}=`,
    `pbkdf2:sha256:99999999$salt$${'0'.repeat(64)}`,
    `$pbkdf2-sha512$99999999$c2FsdA$${'A'.repeat(86)}`,
    `scrypt:1048576:8:1$salt$${'0'.repeat(128)}`,
    `scrypt:16384:8:99$salt$${'0'.repeat(128)}`,
    `scrypt$32768$salt$99$1$${'A'.repeat(86)}==`,
    `$scrypt$ln=31,r=8,p=1$c2FsdA$${'A'.repeat(43)}`,
    `$firebase-scrypt$ln=30,r=8,p=1$c2FsdA$${'A'.repeat(86)}`,
    `bcrypt_sha256$$2b$16$${'a'.repeat(53)}`,
    `$bcrypt-sha256$v=2,t=2b,r=31$${'a'.repeat(22)}$${'a'.repeat(31)}`,
  ])('(%s) is not read, and is named as too costly', (hash) => {
    expect(readHash(hash)).toBeUndefined()
    expect(unsupportedHashName(hash)).toMatch(/too costly|outside cost/)
  })
})

describe('a malformed hash', () => {
  test.each([
    'pbkdf2_sha256$0$salt$AAAAAAAAAAAAAAAAAAAAAA==',
    'pbkdf2_sha256$1000$$AAAAAAAAAAAAAAAAAAAAAA==',
    'pbkdf2_sha256$1000$salt$AA==',
    'pbkdf2_md5$1000$salt$AAAAAAAAAAAAAAAAAAAAAA==',
    'pbkdf2:sha256$salt$00',
    `scrypt:32767:8:1$salt$${'0'.repeat(128)}`,
    `scrypt:0:8:1$salt$${'0'.repeat(128)}`,
    `scrypt:16384:0:1$salt$${'0'.repeat(128)}`,
    `scrypt:16384:8:0$salt$${'0'.repeat(128)}`,
    `scrypt:16384:8:1$salt$${'0'.repeat(127)}`,
    `$scrypt$ln=0,r=8,p=1$c2FsdA$${'A'.repeat(43)}`,
    // N must be below 2^(16r) (RFC 7914 §2).
    `scrypt$65536$salt$1$1$${'A'.repeat(86)}==`,
    `scrypt:65536:1:1$salt$${'0'.repeat(128)}`,
    `$scrypt$ln=16,r=1,p=1$c2FsdA$${'A'.repeat(43)}`,
    `$firebase-scrypt$ln=16,r=1,p=1$c2FsdA$${'A'.repeat(86)}`,
    `bcrypt_sha256$$2b$03$${'a'.repeat(53)}`,
    `bcrypt_sha256$2b$12$${'a'.repeat(53)}`,
    '$argon2id$v=19$m=8192,t=1,p=1,keyid=Zm9v$c2FsdHNhbHQ$c2FsdHNhbHQ',
    // Parameters that argon2 does not allow (RFC 9106 §3.1).
    `$argon2id$v=19$m=8192,t=0,p=1$c2FsdHNhbHQ$${'A'.repeat(43)}`,
    `$argon2id$v=19$m=8192,t=1,p=0$c2FsdHNhbHQ$${'A'.repeat(43)}`,
    `$argon2id$v=19$m=31,t=1,p=4$c2FsdHNhbHQ$${'A'.repeat(43)}`,
    `$argon2id$v=19$m=8192,t=1,p=1$c2Fs$${'A'.repeat(43)}`,
    // Four bytes match one in four billion passwords; 45 is not a valid length of base64.
    '$argon2id$v=19$m=8192,t=1,p=1$c2FsdHNhbHQ$AAAAAA',
    `$argon2id$v=19$m=8192,t=1,p=1$c2FsdHNhbHQ$${'A'.repeat(45)}`,
    `$2b$03$${'a'.repeat(53)}`,
    `$2b$00$${'a'.repeat(53)}`,
    '!',
    '',
  ])('(%s) is unusable', async (hash) => {
    expect(readHash(hash)).toBeUndefined()
    expect(await verifyPassword(password, hash)).toBe('unusable')
  })
})
