import type { PendingEvent } from '../../db/audit/batch.ts'
import type { AuditStatements } from '../../db/audit/reading.ts'
import { AppError } from '../../error.ts'
import { edgeWidths, hashLeaf } from '../transparency/tree.ts'
import { type AuditDeps, audited } from './audited.ts'
import type { AuditKeys } from './auditKeys.ts'
import type { AuditRecord } from './record.ts'
import { isFromBefore, parseGenuine } from './sequencing.ts'

const pageSize = 2000

/**
 * Deletes a pending row that was refused, and records its hash. Throws `not_found` if there is
 * none, and `conflict` for an event of this service, which another replica may have refused.
 */
export async function rejectPending(deps: AuditDeps, by: string, id: string): Promise<void> {
  await audited(
    deps,
    async ({ audit }) => {
      const row = await audit.deleteRefused(id)
      if (!row) throw new AppError('not_found', `There is no refused row ${id}.`)
      const leaf = parseGenuine(deps.audit.keys, row)
      const { prunedBefore } = await audit.readHead(edgeWidths)
      if (leaf && !isFromBefore(prunedBefore, leaf) && (await audit.findMissing([row])).length > 0)
        throw new AppError('conflict', `Row ${id} is an event of this service. The server retries it every minute.`)
      return row
    },
    (row) => [rejection(row, by)],
  )
}

/**
 * Deletes every pending row that no known key has written, and returns a record of each. Runs in a
 * transaction.
 */
export async function rejectUnknown(audit: AuditStatements, keys: AuditKeys, by: string): Promise<AuditRecord[]> {
  const records: AuditRecord[] = []
  for (let after: string | undefined; ; ) {
    const page = await audit.listPending(after, pageSize)
    if (page.length === 0) return records
    after = page.at(-1)?.id
    const unknown = page.filter((row) => parseGenuine(keys, row) === undefined)
    await audit.deletePending(unknown.map(({ id }) => id))
    records.push(...unknown.map((row) => rejection(row, by)))
  }
}

function rejection({ id, leaf }: PendingEvent, by: string): AuditRecord {
  return { event: { event: 'audit.rejected', by, pending: id, hash: hashLeaf(leaf).toString('base64') } }
}
