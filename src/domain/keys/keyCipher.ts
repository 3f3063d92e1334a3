import { createCipheriv, createDecipheriv, createPrivateKey, type KeyObject, randomBytes } from 'node:crypto'
import { deriveKey } from '../../secretKeys.ts'

const cipher = 'aes-256-gcm'
const label = 'audittrail private key'
const nonceBytes = 12
const tagBytes = 16

/**
 * Identifies the key pair of a private key. Authenticated with it, so that it cannot be swapped for
 * another.
 */
export interface KeyName {
  readonly kid: string
  readonly algorithm: string
}

/**
 * Returns PKCS #8 under AES-256-GCM (NIST SP 800-38D), with a key derived from SECRET_KEY: nonce,
 * tag, ciphertext.
 */
export function encryptPrivateKey(privateKey: KeyObject, name: KeyName, secretKey: string): string {
  const nonce = randomBytes(nonceBytes)
  const encryption = createCipheriv(cipher, deriveKey(secretKey, label), nonce, { authTagLength: tagBytes })
  encryption.setAAD(additionalData(name))
  const plaintext = privateKey.export({ type: 'pkcs8', format: 'der' })
  const ciphertext = Buffer.concat([encryption.update(plaintext), encryption.final()])
  return Buffer.concat([nonce, encryption.getAuthTag(), ciphertext]).toString('base64url')
}

/**
 * Returns undefined if the key was encrypted under another SECRET_KEY, belongs to another pair, or
 * was changed.
 */
export function decryptPrivateKey(encrypted: string, name: KeyName, secretKey: string): KeyObject | undefined {
  const bytes = Buffer.from(encrypted, 'base64url')
  const nonce = bytes.subarray(0, nonceBytes)
  const tag = bytes.subarray(nonceBytes, nonceBytes + tagBytes)
  try {
    const decryption = createDecipheriv(cipher, deriveKey(secretKey, label), nonce, { authTagLength: tagBytes })
    decryption.setAAD(additionalData(name))
    decryption.setAuthTag(tag)
    const plaintext = Buffer.concat([decryption.update(bytes.subarray(nonceBytes + tagBytes)), decryption.final()])
    return createPrivateKey({ key: plaintext, type: 'pkcs8', format: 'der' })
  } catch {
    return undefined
  }
}

function additionalData({ kid, algorithm }: KeyName): Buffer {
  return Buffer.from(`${algorithm} ${kid}`)
}
