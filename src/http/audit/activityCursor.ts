import { createCipheriv, createDecipheriv } from 'node:crypto'
import type { ScanPosition } from '../../domain/history/search.ts'
import { createKeyDeriver, type SecretKeys } from '../../secretKeys.ts'
import { type Cursor, invalidCursor } from '../input/cursor.ts'

/** One block of AES, which is a permutation: the index is the only content, after zeros. */
const algorithm = 'aes-256-ecb'
const blockLength = 16
const indexOffset = 8

/** Encrypts the position: the index of a record would tell users how much the service is used. */
export function createActivityCursor(secretKeys: () => SecretKeys): Cursor<ScanPosition> {
  const keys = createKeyDeriver(secretKeys, 'audittrail audit cursor')
  return {
    write: ({ index }) => {
      const block = Buffer.alloc(blockLength)
      block.writeBigUInt64BE(BigInt(index), indexOffset)
      const cipher = createCipheriv(algorithm, keys()[0], null).setAutoPadding(false)
      return Buffer.concat([cipher.update(block), cipher.final()]).toString('base64url')
    },
    read: (after) => {
      const encrypted = Buffer.from(after, 'base64url')
      if (encrypted.length !== blockLength) throw invalidCursor()
      for (const key of keys()) {
        const decipher = createDecipheriv(algorithm, key, null).setAutoPadding(false)
        const block = Buffer.concat([decipher.update(encrypted), decipher.final()])
        if (block.readBigUInt64BE(0) === 0n) return { index: String(block.readBigInt64BE(indexOffset)), time: null }
      }
      throw invalidCursor()
    },
  }
}
