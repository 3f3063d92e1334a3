import { describe, expect, test } from 'bun:test'
import { firebaseUser, readFirebaseParameters } from '../../../src/domain/import/firebaseUsers.ts'
import { verifyPassword } from '../../../src/domain/passwords/verifyPassword.ts'
import { firebaseExample, storedHash } from '../hashes/formats.ts'

describe('Firebase users', () => {
  const parameters = readFirebaseParameters(firebaseExample.config)

  test('keep the password of the published example, without storing the signer key', async () => {
    const hash = storedHash(firebaseUser(firebaseExample.user, parameters))
    expect(hash).toStartWith('$firebase-scrypt$ln=14,r=8,p=1$')
    expect(hash).not.toContain('jxspr8Ki')
    expect(hash.length).toBeLessThanOrEqual(255)
    expect(await verifyPassword('user1password', hash)).toBe('right')
    expect(await verifyPassword('user1passwore', hash)).toBe('wrong')
  })

  test('require all hash parameters', () => {
    expect(() => firebaseUser(firebaseExample.user, undefined)).toThrow('--hash-config')
    expect(() => readFirebaseParameters(firebaseExample.config.replace('rounds', 'round'))).toThrow('mem_cost')
  })

  test('without a password are imported without one', () => {
    expect(storedHash(firebaseUser({ email: 'a@example.com' }, undefined))).toBe('!')
  })
})
