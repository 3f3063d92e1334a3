import type { Clock } from '../../clock.ts'
import type { StoredHead } from '../../db/audit/sequence.ts'
import { AppError } from '../../error.ts'
import { writeCheckpoint } from '../transparency/checkpoint.ts'
import { type Edge, edgeWidths, emptyEdge, rootOf } from '../transparency/tree.ts'
import { type AuditDeps, audited } from './audited.ts'
import type { AuditKeys } from './auditKeys.ts'
import type { AuditRecord } from './record.ts'
import { checkHead } from './sequencing.ts'

/**
 * Accepts the log as the database has it, after a deliberate restore or a failover that lost
 * commits. It continues under a new name, so that no two heads of one name contradict each other.
 * `lost` are the records that list what is missing. Throws `refused` if the log itself was changed.
 */
export async function acceptRestored(
  deps: AuditDeps & { readonly clock: Clock },
  lost: readonly AuditRecord[] = [],
): Promise<{ readonly origin: string; readonly size: number }> {
  const { keys } = deps.audit
  const setting = { firstOrigin: keys.firstOrigin(), widthsOf: edgeWidths }
  const { origin, size } = await audited(
    deps,
    ({ audit }) => audit.continueAs(setting, (head) => acceptHead(keys, head, new Date(deps.clock()))),
    ({ from, size, root }) => [
      { event: { event: 'audit.restored', from, size, root: root.toString('base64') } },
      ...lost,
    ],
  )
  return { origin, size }
}

function acceptHead(keys: AuditKeys, head: StoredHead, now: Date) {
  const [origin, size, root] = [successorOf(head.origin, now), head.size, rootOf(requireWhole(keys, head))]
  return {
    from: head.origin,
    origin,
    size,
    root,
    note: writeCheckpoint({ origin, size, root }, keys.signersFor(origin)),
  }
}

function requireWhole(keys: AuditKeys, head: StoredHead): Edge {
  const checked = checkHead(keys, head)
  if ('edge' in checked) return checked.edge
  if (checked.inconsistency === 'emptied') return emptyEdge
  throw new AppError(
    'refused',
    `The audit log in this database was changed (${checked.inconsistency}), so it cannot be accepted. Run "audittrail audit verify", or restore a backup.`,
  )
}

/** Each restore adds when it was accepted. */
const acceptance = /\/r(\d{17})$/

/** Returns a name that no log has had: one copy may be restored several times. */
function successorOf(origin: string, now: Date): string {
  return `${origin}/r${now.toISOString().replaceAll(/\D/g, '')}`
}

/** Returns all names that a log has had, the current one first. */
export function namesOf(origin: string): readonly string[] {
  return acceptance.test(origin) ? [origin, ...namesOf(origin.replace(acceptance, ''))] : [origin]
}

/** Returns whether a log with the same first name was accepted after the former one. */
export function isSuccessor(origin: string, former: string): boolean {
  return namesOf(origin).at(-1) === namesOf(former).at(-1) && acceptanceOf(origin) > acceptanceOf(former)
}

/** Returns when a log with this name was accepted, in digits. Empty for its first name. */
export function acceptanceOf(name: string): string {
  return acceptance.exec(name)?.[1] ?? ''
}
