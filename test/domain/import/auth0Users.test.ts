import { describe, expect, test } from 'bun:test'
import { createHash, pbkdf2Sync, scryptSync } from 'node:crypto'
import { auth0User } from '../../../src/domain/import/auth0Users.ts'
import { readUser } from '../../../src/domain/import/importedUser.ts'
import { verifyPassword } from '../../../src/domain/passwords/verifyPassword.ts'
import { password, storedHash } from '../hashes/formats.ts'

describe('Auth0 users', () => {
  test('keep hashes of the export and of the bulk import format', async () => {
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

  test('whose password was hashed in an encoding other than UTF-8 are rejected', async () => {
    const value = await Bun.password.hash(password, { algorithm: 'bcrypt', cost: 4 })
    for (const encoding of ['utf16le', 'ucs2', 'latin1', 'binary']) {
      const custom_password_hash = { algorithm: 'bcrypt', hash: { value }, password: { encoding } }
      const user = auth0User({ email: 'a@example.com', custom_password_hash })
      expect(readUser(user)).toEqual({ errors: [expect.stringContaining('not in UTF-8')] })
    }
  })

  test('with a single-round digest are rejected by its name', () => {
    const value = createHash('md5').update(password).digest('hex')
    const user = auth0User({ email: 'a@example.com', custom_password_hash: { algorithm: 'md5', hash: { value } } })
    expect(readUser(user)).toEqual({ errors: [expect.stringContaining('single-round')] })
  })
})
