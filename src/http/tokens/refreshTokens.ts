import { createHmac, timingSafeEqual } from 'node:crypto'
import { deriveKeys, type SecretKeys } from '../../secretKeys.ts'

/** What a refresh token says: whose session, and the how-manieth of its tokens it is. */
export interface RefreshToken {
  readonly sessionId: string
  readonly generation: number
}

export interface RefreshTokens {
  make(token: RefreshToken): string
  /** Undefined for whatever we did not make. */
  read(text: string): RefreshToken | undefined
}

const prefix = 'atr_'
const idBytes = 16
const generationBytes = 4
const macBytes = 32
const length = idBytes + generationBytes + macBytes

/**
 * Refresh tokens are a session's id and a generation under a MAC of 256 bits (HMAC-SHA-256, under a key of its own that HKDF,
 * RFC 5869, derives from SECRET_KEY). The database has id and generation, and neither the token nor what could make one;
 * and the successor that a retry gets is the same, because it is the same computation. Tokens of a former SECRET_KEY are read too.
 */
export function createRefreshTokens(secretKeys: SecretKeys): RefreshTokens {
  const keys = deriveKeys(secretKeys, 'audittrail refresh token')
  const macOf = (body: Buffer, key: Buffer) => createHmac('sha256', key).update(body).digest()
  const isOurs = (body: Buffer, mac: Buffer) => keys.some((key) => timingSafeEqual(macOf(body, key), mac))

  return {
    make: ({ sessionId, generation }) => {
      const body = Buffer.alloc(idBytes + generationBytes)
      body.write(sessionId.replaceAll('-', ''), 'hex')
      body.writeUInt32BE(generation, idBytes)
      return prefix + Buffer.concat([body, macOf(body, keys[0])]).toString('base64url')
    },
    read: (text) => {
      if (!text.startsWith(prefix)) return undefined
      const encoded = text.slice(prefix.length)
      const bytes = Buffer.from(encoded, 'base64url')
      // One token has one spelling.
      if (bytes.length !== length || bytes.toString('base64url') !== encoded) return undefined
      const body = bytes.subarray(0, -macBytes)
      if (!isOurs(body, bytes.subarray(-macBytes))) return undefined
      const id = body.toString('hex', 0, idBytes)
      const generation = body.readUInt32BE(idBytes)
      const sessionId = id.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
      return generation < 0x7fffffff ? { sessionId, generation } : undefined
    },
  }
}
