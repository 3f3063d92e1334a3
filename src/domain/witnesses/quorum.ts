import type { StoredNote } from '../../db/audit/witnesses.ts'
import type { Database } from '../../db/database.ts'
import type { AuditKeys } from '../audit/auditKeys.ts'
import { readUnverified } from '../transparency/checkpoint.ts'
import { openCosigned, type Policy } from './policy.ts'

const pageSize = 20

/**
 * Returns the newest checkpoint of the log that this service has signed and a quorum of witnesses
 * has cosigned.
 */
export async function newestWithQuorum(
  { audit }: Pick<Database, 'audit'>,
  policy: Policy,
  keys: AuditKeys,
  origin: string,
): Promise<StoredNote | undefined> {
  const signers = keys.signersFor(origin)
  const isPublished = ({ size, note }: StoredNote) =>
    readUnverified(note, origin)?.size === size && openCosigned(note, policy, signers)?.hasQuorum === true
  if (policy.isQuorum(new Set())) {
    const newest = await audit.newestCheckpoint()
    return newest.note === undefined ? undefined : { size: newest.size, note: newest.note }
  }
  for (let below = Number.MAX_SAFE_INTEGER; ; ) {
    const page = await audit.listCosigned(below, pageSize)
    const found = page.find(isPublished)
    if (found || page.length < pageSize) return found
    below = page.at(-1)?.size ?? 0
  }
}
