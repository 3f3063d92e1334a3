import { describe, expect, test } from 'bun:test'
import { createHash, pbkdf2Sync, scryptSync } from 'node:crypto'
import { unsupportedHashName } from '../../../src/domain/hashes/unsupported.ts'
import { auth0User } from '../../../src/domain/import/auth0Users.ts'
import { firebaseUser, readFirebaseParameters } from '../../../src/domain/import/firebaseUsers.ts'
import { readUser } from '../../../src/domain/import/importedUser.ts'
import { keycloakUser } from '../../../src/domain/import/keycloakUsers.ts'
import { isOutdated } from '../../../src/domain/passwords/hashPassword.ts'
import { readHash } from '../../../src/domain/passwords/readHash.ts'
import { verifyPassword } from '../../../src/domain/passwords/verifyPassword.ts'
import { firebaseExample, foreignHashes, keycloakExample, password } from './formats.ts'

const cost = { memoryKib: 8192, timeCost: 1 }

/** What an import would store of a record. */
function storedHash(fields: Record<string, unknown> | undefined): string {
  const read = readUser(fields ?? {})
  if (!('user' in read)) throw new Error(read.faults.join('; '))
  return read.user.hashed_password
}

describe('a hash of another program', () => {
  test.each(foreignHashes)(
    '(%s) fits its password and no other, as it is and as it is stored',
    async (_maker, hash) => {
      for (const spelling of new Set([hash, storedHash({ username: 'ada', hashed_password: hash })])) {
        expect(spelling.length).toBeLessThanOrEqual(255)
        expect(await verifyPassword(password, spelling)).toBe('right')
        expect(await verifyPassword(`${password}r`, spelling)).toBe('wrong')
        expect(await verifyPassword(password.slice(1), spelling)).toBe('wrong')
      }
    },
  )

  test.each(foreignHashes.filter(([, hash]) => !/^\$?argon2/.test(hash)))('(%s) is made anew', (_maker, hash) => {
    expect(isOutdated(hash, password, cost)).toBe(true)
  })

  test('is not made anew from a password of which bcrypt has read a part, in whatever spelling', () => {
    expect(isOutdated(`bcrypt$$2b$12$${'a'.repeat(53)}`, 'x'.repeat(73), cost)).toBe(false)
    expect(isOutdated(`bcrypt_sha256$$2b$12$${'a'.repeat(53)}`, 'x'.repeat(73), cost)).toBe(true)
  })

  test('of bcrypt fits its password whatever the bits say that nothing is stored in, as everywhere else', async () => {
    // Of the last letter of salt and digest four and two bits are none of theirs; passlib mends such hashes, of older programs.
    const [salt, digest] = ['UgVINJnN6PbE3gfypKh7I', 'nCvZPfe0Wv92HSjHqCJrUkbQAR3373']
    for (const [last, end] of ['eG', 'fG', 'tG', 'eH', 'eJ', 'gI'])
      for (const prefix of ['$2b$04$', '$2a$04$', '$2y$04$', 'bcrypt$$2b$04$']) {
        const hash = `${prefix}${salt}${last}${digest}${end}`
        expect(await verifyPassword('correct', hash)).toBe('right')
        expect(await verifyPassword('incorrect', hash)).toBe('wrong')
        expect(storedHash({ username: 'ada', hashed_password: hash })).toBe(hash.replace('bcrypt$', ''))
      }
  })

  test('is computed beside the event loop', async () => {
    const read = readHash(`scrypt:32768:8:8$salt$${'0'.repeat(128)}`)
    let turns = 0
    const timer = setInterval(() => turns++, 1)
    await read?.verify(password)
    clearInterval(timer)
    // Hundreds of milliseconds of work: were it done here, there would be no turn at all.
    expect(turns).toBeGreaterThan(5)
  })
})

describe('a hash dearer than we compute', () => {
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
  ])('(%s) is not read, and an import refuses it', (hash) => {
    expect(readHash(hash)).toBeUndefined()
    expect(unsupportedHashName(hash)).toContain('dearer')
  })
})

describe('what only looks like a hash', () => {
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
    `bcrypt_sha256$$2b$03$${'a'.repeat(53)}`,
    `bcrypt_sha256$2b$12$${'a'.repeat(53)}`,
    '$argon2id$v=19$m=8192,t=1,p=1,keyid=Zm9v$c2FsdHNhbHQ$c2FsdHNhbHQ',
    // Of numbers that argon2 does not take (RFC 9106 §3.1).
    `$argon2id$v=19$m=8192,t=0,p=1$c2FsdHNhbHQ$${'A'.repeat(43)}`,
    `$argon2id$v=19$m=8192,t=1,p=0$c2FsdHNhbHQ$${'A'.repeat(43)}`,
    `$argon2id$v=19$m=31,t=1,p=4$c2FsdHNhbHQ$${'A'.repeat(43)}`,
    `$argon2id$v=19$m=8192,t=1,p=1$c2Fs$${'A'.repeat(43)}`,
    // Four bytes fit every four thousand millionth password, and base64 has no such length.
    '$argon2id$v=19$m=8192,t=1,p=1$c2FsdHNhbHQ$AAAAAA',
    `$argon2id$v=19$m=8192,t=1,p=1$c2FsdHNhbHQ$${'A'.repeat(45)}`,
    `$2b$03$${'a'.repeat(53)}`,
    `$2b$00$${'a'.repeat(53)}`,
    '!',
    '',
  ])('(%s) is none', async (hash) => {
    expect(readHash(hash)).toBeUndefined()
    expect(await verifyPassword(password, hash)).toBe('unusable')
  })
})

describe('a hash that is refused', () => {
  test.each([
    ['$1$salt$J9PNfSrNMjKVKBDUwBLF91', 'md5-crypt ($1$)'],
    ['$apr1$salt$xxj3d3Ue1gQOTmEkyLHe20', "Apache's md5-crypt ($apr1$)"],
    ['$5$salt$hash', 'sha256-crypt ($5$)'],
    ['$6$salt$hash', 'sha512-crypt ($6$)'],
    ['$y$j9T$salt$hash', 'yescrypt'],
    ['$P$B12345678', 'phpass'],
    ['$wp$2y$10$abc', 'WordPress'],
    ['$2x$05$abc', 'known flaw'],
    ['$argon2i$m=65536,t=2,p=1$c29tZXNhbHQ$9sTbSlTio3Biev89thdrlKKiCaYsjjYVJxGAL3swxpQ', 'version 16'],
    ['$argon2id$v=19$m=8192,t=1,p=1,data=Zm9v$c2FsdHNhbHQ$c2FsdHNhbHQ', 'associated data'],
    ['sha1$salt$0beec7b5ea3f0fdbc95d0dd47f3c5bc275da8a33', 'computed once'],
    ['md5$salt$0123', 'computed once'],
    ['{SSHA}DkMTwBl+a/3DQTxCYEApdUtNXGgdUac3', '{SSHA}'],
    ['{PLAIN}secret', 'plain text'],
    ['5f4dcc3b5aa765d61d8327deb882cf99', 'MD5'],
    ['5baa61e4c9b93f3f0682250b6cf8331b7ee68fd8', 'SHA-1'],
    ['hunter2', 'plain text'],
    ['$made-up$1$2', 'does not know'],
  ])('(%s) is named: %s, without a part of it', (hash, name) => {
    const read = readUser({ username: 'ada', hashed_password: hash })
    const [fault = ''] = 'faults' in read ? read.faults : []
    expect(fault).toContain(name)
    expect(fault).not.toContain(hash.slice(-8))
  })
})

describe('Firebase', () => {
  const parameters = readFirebaseParameters(firebaseExample.config)

  test("keeps the published example's password, and no signer key is stored", async () => {
    const hash = storedHash(firebaseUser(firebaseExample.user, parameters))
    expect(hash).toStartWith('$firebase-scrypt$ln=14,r=8,p=1$')
    expect(hash).not.toContain('jxspr8Ki')
    expect(hash.length).toBeLessThanOrEqual(255)
    expect(await verifyPassword('user1password', hash)).toBe('right')
    expect(await verifyPassword('user1passwore', hash)).toBe('wrong')
  })

  test('asks for the parameters, and for all of them', () => {
    expect(() => firebaseUser(firebaseExample.user, undefined)).toThrow('--hash-config')
    expect(() => readFirebaseParameters(firebaseExample.config.replace('rounds', 'round'))).toThrow('mem_cost')
  })

  test('has users without a password, who come in without one', () => {
    expect(storedHash(firebaseUser({ email: 'a@example.com' }, undefined))).toBe('!')
  })
})

describe('Keycloak', () => {
  const user = { username: 'ada', enabled: true }

  test('keeps the password of a published credential', async () => {
    const hash = storedHash(keycloakUser({ ...user, credentials: [keycloakExample] }))
    expect(await verifyPassword('admin', hash)).toBe('right')
    expect(await verifyPassword('admix', hash)).toBe('wrong')
  })

  test.each([
    ['pbkdf2', 'sha1', 64],
    ['pbkdf2-sha256', 'sha256', 64],
    ['pbkdf2-sha512', 'sha512', 64],
  ] as const)(
    '%s of 512 bits, as versions before 24 and after make it, fits its password',
    async (algorithm, digest, length) => {
      // Keycloak pads short passwords with NUL (Pbkdf2PasswordHashProvider), which HMAC does not see.
      const salt = Buffer.from('0123456789abcdef')
      const value = pbkdf2Sync('short\0\0\0\0\0\0\0\0\0', salt, 1000, length, digest).toString('base64')
      const credential = {
        type: 'password',
        credentialData: JSON.stringify({ hashIterations: 1000, algorithm, additionalParameters: {} }),
        secretData: JSON.stringify({ value, salt: salt.toString('base64'), additionalParameters: {} }),
      }
      const hash = storedHash(keycloakUser({ ...user, credentials: [credential] }))
      expect(hash.length).toBeLessThanOrEqual(255)
      expect(await verifyPassword('short', hash)).toBe('right')
      expect(await verifyPassword('shore', hash)).toBe('wrong')
    },
  )

  test.each(['pbkdf2-sha384', 'pbkdf2-SHA256', 'pbkdf2-sha1-legacy', 'pbkdf2_sha256'])(
    '%s, which is an extension, is refused by name and not taken for SHA-1',
    (algorithm) => {
      const credential = {
        type: 'password',
        credentialData: JSON.stringify({ hashIterations: 1000, algorithm }),
        secretData: JSON.stringify({ value: Buffer.alloc(64).toString('base64'), salt: 'c2FsdA==' }),
      }
      expect(readUser(keycloakUser({ ...user, credentials: [credential] }) ?? {})).toEqual({
        faults: [expect.stringContaining('hashed_password is PBKDF2 that is malformed, of another digest')],
      })
    },
  )

  test('argon2 (the default since 25) is spelled as everybody spells it', async () => {
    const made = await Bun.password.hash(password, { algorithm: 'argon2id', memoryCost: 7168, timeCost: 5 })
    const [, , , , salt, value] = made.split('$')
    const credential = {
      type: 'password',
      credentialData: JSON.stringify({
        hashIterations: 5,
        algorithm: 'argon2',
        additionalParameters: {
          hashLength: ['32'],
          memory: ['7168'],
          type: ['id'],
          version: ['1.3'],
          parallelism: ['1'],
        },
      }),
      secretData: JSON.stringify({ value: `${value}=`, salt: `${salt}=`, additionalParameters: {} }),
    }
    expect(storedHash(keycloakUser({ ...user, credentials: [credential] }))).toBe(made)
  })

  test.each([
    ['without credentials', [], '!'],
    ['with a second factor alone', [{ type: 'otp', secretData: '{}', credentialData: '{}' }], '!'],
  ] as const)('a user %s comes in without a password', (_kind, credentials, stored) => {
    expect(storedHash(keycloakUser({ ...user, credentials }))).toBe(stored)
  })

  test.each(['not json', '{"algorithm":"sha1","hashIterations":1}', '{}', '[]', '7'])(
    'a credential that says %s is refused',
    (credentialData) => {
      const fields = keycloakUser({
        ...user,
        credentials: [{ type: 'password', credentialData, secretData: '{"value":"eA==","salt":"eA=="}' }],
      })
      expect(readUser(fields ?? {})).toHaveProperty('faults')
    },
  )
})

describe('Auth0', () => {
  test('keeps bcrypt of its export, and hashes in the shape of its import', async () => {
    const bcrypt = await Bun.password.hash(password, { algorithm: 'bcrypt', cost: 4 })
    const salt = Buffer.from('0123456789abcdef')
    const hashes = [
      { passwordHash: bcrypt },
      { password_hash: bcrypt },
      { custom_password_hash: { algorithm: 'bcrypt', hash: { value: bcrypt } } },
      {
        custom_password_hash: {
          algorithm: 'pbkdf2',
          hash: {
            value: `$pbkdf2-sha512$i=1000,l=64$${salt.toString('base64').replace(/=+$/, '')}$${pbkdf2Sync(password, salt, 1000, 64, 'sha512').toString('base64').replace(/=+$/, '')}`,
          },
        },
      },
      {
        custom_password_hash: {
          algorithm: 'scrypt',
          hash: { value: scryptSync(password, salt, 64).toString('hex'), encoding: 'hex' },
          salt: { value: salt.toString('base64'), encoding: 'base64' },
        },
      },
    ]
    for (const hash of hashes) {
      const stored = storedHash(auth0User({ email: 'a@example.com', ...hash }))
      expect(await verifyPassword(password, stored)).toBe('right')
      expect(await verifyPassword('wrong', stored)).toBe('wrong')
    }
  })

  test('a hash of a password in another encoding than UTF-8, which nobody could sign in with, is refused', async () => {
    const value = await Bun.password.hash(password, { algorithm: 'bcrypt', cost: 4 })
    for (const encoding of ['utf16le', 'ucs2', 'latin1', 'binary']) {
      const custom_password_hash = { algorithm: 'bcrypt', hash: { value }, password: { encoding } }
      const user = auth0User({ email: 'a@example.com', custom_password_hash })
      expect(readUser(user)).toEqual({ faults: [expect.stringContaining('not in UTF-8')] })
    }
  })

  test('a digest computed once is refused by name', () => {
    const value = createHash('md5').update(password).digest('hex')
    const user = auth0User({ email: 'a@example.com', custom_password_hash: { algorithm: 'md5', hash: { value } } })
    expect(readUser(user)).toEqual({ faults: [expect.stringContaining('computed once')] })
  })
})
