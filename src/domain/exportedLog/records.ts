import { isUtf8 } from 'node:buffer'
import { type ParsedLeaf, parseLeaf } from '../audit/leaf.ts'

/** Returns the hash of a leaf (RFC 6962 §2.1). */
export function hashOf(leaf: Buffer): Buffer {
  const hash = Buffer.allocUnsafe(32)
  Bun.SHA256.hash(Buffer.concat([Buffer.of(0), leaf]), hash)
  return hash
}

/** Returns undefined for a leaf that no version of this service wrote. */
export function recordIn(leaf: Buffer): ParsedLeaf | undefined {
  const parsed = isUtf8(leaf) ? parseLeaf(leaf.toString()) : undefined
  return parsed && isTime(parsed.time) ? parsed : undefined
}

/** The one form in which the service writes times. */
function isTime(text: string): boolean {
  return /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(text) && new Date(text).toISOString() === text
}
