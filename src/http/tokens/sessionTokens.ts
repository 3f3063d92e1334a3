import { createHmac, timingSafeEqual } from 'node:crypto'
import { createKeyDeriver, type SecretKeys } from '../../secretKeys.ts'

/** The content of a refresh token or a cookie. Each rotation increments the generation. */
export interface SessionToken {
  readonly sessionId: string
  readonly generation: number
}

export interface SessionTokens {
  make(token: SessionToken): string
  /** Returns undefined unless `make` created the text. */
  read(text: string): SessionToken | undefined
}

const idBytes = 16
const generationBytes = 4
const macBytes = 32
const length = idBytes + generationBytes + macBytes

/** Characters after the prefix. */
export const sessionTokenLength = Math.ceil((length * 4) / 3)

/**
 * A token is a session id and a generation with an HMAC-SHA-256, under a key derived from
 * SECRET_KEY by the label. The database can neither store nor forge one, and a retried rotation
 * gets the same successor. Tokens of a previous SECRET_KEY are accepted too.
 */
export function createSessionTokens(
  secretKeys: () => SecretKeys,
  { prefix, label }: { readonly prefix: string; readonly label: string },
): SessionTokens {
  const keys = createKeyDeriver(secretKeys, label)
  const macOf = (body: Buffer, key: Buffer) => createHmac('sha256', key).update(body).digest()
  const isOurs = (body: Buffer, mac: Buffer) => keys().some((key) => timingSafeEqual(macOf(body, key), mac))

  return {
    make: ({ sessionId, generation }) => {
      const body = Buffer.alloc(idBytes + generationBytes)
      body.write(sessionId.replaceAll('-', ''), 'hex')
      body.writeUInt32BE(generation, idBytes)
      return prefix + Buffer.concat([body, macOf(body, keys()[0])]).toString('base64url')
    },
    read: (text) => {
      if (!text.startsWith(prefix)) return undefined
      const encoded = text.slice(prefix.length)
      const bytes = Buffer.from(encoded, 'base64url')
      // Each token has exactly one text.
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
