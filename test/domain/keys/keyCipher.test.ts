import { describe, expect, test } from 'bun:test'
import { decryptPrivateKey, encryptPrivateKey } from '../../../src/domain/keys/keyCipher.ts'
import { createKeyPair } from '../../../src/domain/keys/keyPair.ts'
import { fingerprintOf } from '../../../src/secretKeys.ts'

const secretKey = '0123456789abcdef0123456789abcdef'
const name = { kid: 'the-kid', algorithm: 'EdDSA' }

// Made with Python's `cryptography` (HKDF, AESGCM) and `hmac` from the private key of RFC 8410
// §10.3 and nonce 00 01 … 0b.
const encryptedElsewhere =
  'AAECAwQFBgcICQoLiwlqeEgBXFVHf7oEzHX2F-KEF11nuy57P4DPbaKlX9-aJPkGjghXOJrWtc2FDauKy-RANbSoH5mDnUSplD9NIw'
const fingerprintElsewhere = 'b6362f07c699a317faa9cb9c2ef5cec9df2ea30a4d1f47affefbd304069a6364'

describe('private key', () => {
  test('matches the ciphertext of another implementation', () => {
    const pem = decryptPrivateKey(encryptedElsewhere, name, secretKey)?.export({ type: 'pkcs8', format: 'pem' })
    expect(pem?.toString()).toContain('MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC')
  })

  test('is encrypted differently each time and decrypts to the original', async () => {
    const { privateKey } = await createKeyPair('ES256')
    const encrypted = Array.from({ length: 50 }, () => encryptPrivateKey(privateKey, name, secretKey))
    expect(new Set(encrypted.map((text) => text.slice(0, 16))).size).toBe(50)
    for (const text of encrypted) expect(decryptPrivateKey(text, name, secretKey)?.equals(privateKey)).toBe(true)
  })

  test('is not decrypted if a bit was changed or bytes are missing', () => {
    const bytes = Buffer.from(encryptedElsewhere, 'base64url')
    for (let at = 0; at < bytes.length; at++) {
      const changed = Buffer.from(bytes)
      changed.writeUInt8(changed.readUInt8(at) ^ 1, at)
      expect(decryptPrivateKey(changed.toString('base64url'), name, secretKey)).toBeUndefined()
      expect(decryptPrivateKey(bytes.toString('base64url', 0, at), name, secretKey)).toBeUndefined()
    }
  })

  test('is not decrypted under another name, algorithm or SECRET_KEY', () => {
    expect(decryptPrivateKey(encryptedElsewhere, { ...name, kid: 'another' }, secretKey)).toBeUndefined()
    expect(decryptPrivateKey(encryptedElsewhere, { ...name, algorithm: 'ES256' }, secretKey)).toBeUndefined()
    expect(decryptPrivateKey(encryptedElsewhere, name, `${secretKey}x`)).toBeUndefined()
  })
})

test('the fingerprint of SECRET_KEY matches another implementation', () => {
  expect(fingerprintOf(secretKey)).toBe(fingerprintElsewhere)
})
