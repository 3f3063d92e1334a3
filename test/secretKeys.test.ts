import { describe, expect, test } from 'bun:test'
import { deriveKey, deriveKeys, fingerprintOf, parseSecretKeys } from '../src/secretKeys.ts'

describe('secret keys', () => {
  const secretKeys = { current: 'c'.repeat(32), previous: ['p'.repeat(32)] }

  test('are derived with HKDF-SHA-256 (RFC 5869)', () => {
    // RFC 5869, appendix A.3: no salt, no info; its 42 bytes begin as 32 do.
    expect(deriveKey(Buffer.alloc(22, 0x0b).toString('latin1'), '').toString('hex')).toBe(
      '8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d',
    )
  })

  test('give one derived key per secret and label, the current secret first', () => {
    const [current, previous] = deriveKeys(secretKeys, 'audittrail a')
    const [other] = deriveKeys(secretKeys, 'audittrail b')
    expect(new Set([current, previous, other].map((key) => key?.toString('hex'))).size).toBe(3)
    expect(deriveKeys({ ...secretKeys, current: 'p'.repeat(32) }, 'audittrail a')[0]).toEqual(previous as Buffer)
  })

  test('have a fingerprint of 64 hexadecimal digits that covers the whole key', () => {
    expect(fingerprintOf('c'.repeat(32))).toMatch(/^[0-9a-f]{64}$/)
    expect(fingerprintOf('c'.repeat(32))).not.toBe(fingerprintOf(`${'c'.repeat(31)}d`))
  })

  test('parse a list with commas or line breaks, and reject short keys and more than eight', () => {
    const [a, b] = ['a'.repeat(32), 'b'.repeat(40)]
    expect(parseSecretKeys(`${a},${b}`)).toEqual([a, b])
    expect(parseSecretKeys(`${a}\r\n\n ${b} ,`)).toEqual([a, b])
    expect(() => parseSecretKeys(`${a},short`)).toThrow('at least 32 bytes')
    expect(() => parseSecretKeys(Array(9).fill(a).join())).toThrow('up to 8 keys')
  })
})
