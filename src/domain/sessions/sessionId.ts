import { randomBytes } from 'node:crypto'

/**
 * Returns a UUIDv7 (RFC 9562) for a session that starts now. Sessions of a time are neighbors in
 * the index. 74 bits are random.
 */
export function createSessionId(now: number): string {
  const bytes = randomBytes(16)
  bytes.writeUIntBE(now, 0, 6)
  bytes.writeUInt8(0x70 | (bytes.readUInt8(6) & 0x0f), 6)
  bytes.writeUInt8(0x80 | (bytes.readUInt8(8) & 0x3f), 8)
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
}
