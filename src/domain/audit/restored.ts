import { AppError } from '../../error.ts'
import { writeCheckpoint } from '../transparency/checkpoint.ts'
import { edgeWidths, rootOf } from '../transparency/tree.ts'
import { type AuditDeps, audited } from './audited.ts'
import { checkHead } from './sequencing.ts'

/**
 * Accepts the log as the database has it, after a deliberate restore or a failover that lost
 * commits. It continues under a new name, so that no two heads of one name contradict each other.
 * Throws `refused` if the log itself was changed.
 */
export async function acceptRestored(deps: AuditDeps): Promise<{ readonly origin: string; readonly size: number }> {
  const { keys } = deps.audit
  const head = await deps.database.audit.readHead(edgeWidths)
  const checked = checkHead(keys, head)
  if ('inconsistency' in checked)
    throw new AppError(
      'refused',
      `The audit log in this database was changed (${checked.inconsistency}), so it cannot be accepted. Run "audittrail audit verify", or restore a backup.`,
    )
  const [from, to, root] = [head.origin, nextOrigin(head.origin), rootOf(checked.edge)]
  const note = head.size === 0 ? '' : writeCheckpoint({ origin: to, size: head.size, root }, keys.signersFor(to))
  const isAccepted = await audited(
    deps,
    ({ audit }) => audit.continueAs({ from, to, size: head.size, note }),
    (isDone) =>
      isDone ? [{ event: { event: 'audit.restored', from, size: head.size, root: root.toString('base64') } }] : [],
  )
  if (!isAccepted) throw new AppError('conflict', 'The audit log was accepted by another command at the same time.')
  return { origin: to, size: head.size }
}

/** `log`, `log/r2`, `log/r3`, … */
function nextOrigin(origin: string): string {
  const [, base = origin, count = '1'] = /^(.*)\/r(\d+)$/.exec(origin) ?? []
  return `${base}/r${Number(count) + 1}`
}

/** Returns all names that a log has had, the current one first. */
export function namesOf(origin: string): readonly string[] {
  const [, base = origin, count = '1'] = /^(.*)\/r(\d+)$/.exec(origin) ?? []
  const earlier = Array.from({ length: Number(count) - 1 }, (_, index) =>
    index === 0 ? base : `${base}/r${index + 1}`,
  )
  return [origin, ...earlier.toReversed()]
}
