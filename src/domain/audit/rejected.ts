import { AppError } from '../../error.ts'
import { hashLeaf } from '../transparency/tree.ts'
import { type AuditDeps, audited } from './audited.ts'
import { parseGenuine } from './sequencing.ts'

/**
 * Deletes a pending row that was refused, and records its hash. Throws `not_found` if there is none,
 * and `conflict` for an event of this service, which another replica may have refused.
 */
export async function rejectPending(deps: AuditDeps, by: string, id: string): Promise<void> {
  await audited(
    deps,
    async ({ audit }) => {
      const row = await audit.deleteRefused(id)
      if (!row) throw new AppError('not_found', `There is no refused row ${id}.`)
      const isGenuine = parseGenuine(deps.audit.keys, row) !== undefined
      if (isGenuine && (await audit.findMissing([row])).length > 0)
        throw new AppError('conflict', `Row ${id} is an event of this service. The server adds it to the audit log.`)
      return row
    },
    (row) => [{ event: { event: 'audit.rejected', by, pending: id, hash: hashLeaf(row.leaf).toString('base64') } }],
  )
}
