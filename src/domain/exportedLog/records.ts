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

/** Returns whether a time is in the one form in which the service writes it. */
function isTime(text: string): boolean {
  const time = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(text) ? new Date(text) : undefined
  return time !== undefined && !Number.isNaN(time.getTime()) && time.toISOString() === text
}

/**
 * Facts in another form were not written by this service, and verifiers could read them
 * differently.
 */
export function isErasure({ type, facts: { older_than, indexes, pending } }: ParsedLeaf): boolean {
  return (
    type === 'audit.erased' &&
    (typeof older_than !== 'string' || isTime(older_than)) &&
    (typeof indexes !== 'string' || /^\d+(-\d+)?(,\d+(-\d+)?)*$/.test(indexes)) &&
    (!Array.isArray(pending) || pending.every((event) => typeof event === 'string'))
  )
}
