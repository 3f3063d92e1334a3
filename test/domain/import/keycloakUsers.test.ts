import { describe, expect, test } from 'bun:test'
import { pbkdf2Sync } from 'node:crypto'
import { readUser } from '../../../src/domain/import/importedUser.ts'
import { keycloakUser } from '../../../src/domain/import/keycloakUsers.ts'
import { verifyPassword } from '../../../src/domain/passwords/verifyPassword.ts'
import { keycloakExample, password, storedHash } from '../hashes/formats.ts'

describe('Keycloak users', () => {
  const user = { username: 'ada', enabled: true }

  test('keep the password of a published credential', async () => {
    const hash = storedHash(keycloakUser({ ...user, credentials: [keycloakExample] }))
    expect(await verifyPassword('admin', hash)).toBe('right')
    expect(await verifyPassword('admix', hash)).toBe('wrong')
  })

  test.each([
    ['pbkdf2', 'sha1', 64],
    ['pbkdf2-sha256', 'sha256', 64],
    ['pbkdf2-sha512', 'sha512', 64],
  ] as const)('keep a %s password with a 512-bit key', async (algorithm, digest, length) => {
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
  })

  test.each(['pbkdf2-sha384', 'pbkdf2-SHA256', 'pbkdf2-sha1-legacy', 'pbkdf2_sha256'])(
    'with a hash of the extension %s are rejected instead of read as SHA-1',
    (algorithm) => {
      const credential = {
        type: 'password',
        credentialData: JSON.stringify({ hashIterations: 1000, algorithm }),
        secretData: JSON.stringify({ value: Buffer.alloc(64).toString('base64'), salt: 'c2FsdA==' }),
      }
      expect(readUser(keycloakUser({ ...user, credentials: [credential] }) ?? {})).toEqual({
        errors: [expect.stringContaining('PBKDF2 that is malformed, too costly, or uses another digest')],
      })
    },
  )

  test('with argon2 (the default since 25) are stored in the standard format', async () => {
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
    ['pbkdf2', 'sha1'],
    ['HmacSHA1', 'sha1'],
    [undefined, 'sha1'],
    ['pbkdf2-sha256', 'sha256'],
    ['pbkdf2-sha512', 'sha512'],
  ] as const)('of Keycloak 7 and earlier with the algorithm %s keep their password', async (algorithm, digest) => {
    const salt = Buffer.from('0123456789abcdef')
    const hashedSaltedValue = pbkdf2Sync('short', salt, 1000, 64, digest).toString('base64')
    const credential = { type: 'password', hashedSaltedValue, salt: salt.toString('base64'), hashIterations: 1000 }
    const credentials = [
      { type: 'totp', value: 'x' },
      { ...credential, ...(algorithm ? { algorithm } : {}) },
    ]
    const hash = storedHash(keycloakUser({ ...user, credentials }))
    expect(await verifyPassword('short', hash)).toBe('right')
    expect(await verifyPassword('shore', hash)).toBe('wrong')
  })

  test('of Keycloak 7 and earlier with bcrypt from an extension keep their password', async () => {
    const hashedSaltedValue = '$2y$05$zi3Af9NgFe1WuAIifb6CquYSAHpiBilfuKKDMeKu0KsYqFwWQ5SjC'
    const credential = { type: 'password', hashedSaltedValue, algorithm: 'bcrypt', hashIterations: -1 }
    expect(await verifyPassword(password, storedHash(keycloakUser({ ...user, credentials: [credential] })))).toBe(
      'right',
    )
  })

  test('are not the realms of a file that have no users', () => {
    expect(keycloakUser({ id: 'x', realm: 'shop', enabled: true })).toBeUndefined()
    expect(keycloakUser({ ...user, realm: 'shop' })).toMatchObject({ username: 'ada' })
  })

  test('with a plain-text password are rejected by that name', () => {
    const credentials = [{ type: 'password', value: 'a pass phrase', temporary: false }]
    expect(readUser(keycloakUser({ ...user, credentials }) ?? {})).toEqual({
      errors: ['hashed_password is not supported: a plain-text password'],
    })
  })

  test.each([
    ['without credentials', [], '!'],
    ['with a second factor alone', [{ type: 'otp', secretData: '{}', credentialData: '{}' }], '!'],
  ] as const)('%s are imported without a password', (_kind, credentials, stored) => {
    expect(storedHash(keycloakUser({ ...user, credentials }))).toBe(stored)
  })

  test.each(['not json', '{"algorithm":"sha1","hashIterations":1}', '{}', '[]', '7'])(
    'with the credential data %s are rejected',
    (credentialData) => {
      const fields = keycloakUser({
        ...user,
        credentials: [{ type: 'password', credentialData, secretData: '{"value":"eA==","salt":"eA=="}' }],
      })
      expect(readUser(fields ?? {})).toHaveProperty('errors')
    },
  )
})
