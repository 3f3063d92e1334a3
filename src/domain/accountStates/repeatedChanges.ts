import type { RecordRepetition, RepeatedChanges } from '../../db/failover/recording.ts'
import { type AuditDeps, auditedWork } from '../audit/audited.ts'
import type { AuditRecord, Party } from '../audit/record.ts'
import { stateChange } from './state.ts'

/** Returns how a process records the changes that it makes again after a failover. */
export function recordingOfRepetition(deps: Pick<AuditDeps, 'audit' | 'log'>): RecordRepetition {
  return (work) => auditedWork(deps, (rowsOf) => work((changes) => rowsOf(recordsOfRepetition(changes))))
}

/** As many as fit into a leaf. */
const idsPerEvent = 150

/** One event for each user, so that it is found by the user; one for many sessions or API keys. */
function recordsOfRepetition({ kind, ids, accounts }: RepeatedChanges): readonly AuditRecord[] {
  const by: Party = { kind: 'system' }
  if (kind === 'session' || kind === 'api_key')
    return Array.from({ length: Math.ceil(ids.length / idsPerEvent) }, (_, index) => {
      const some = ids.slice(index * idsPerEvent, (index + 1) * idsPerEvent)
      return { event: { event: 'changes.repeated', kind, ids: some }, by }
    })
  const was = new Map(accounts?.former.map((account) => [account.id, account]))
  const is = new Map(accounts?.current.map((account) => [account.id, account]))
  return ids.map((id) => ({
    event: { event: 'changes.repeated', kind },
    by,
    about: { kind: 'user', id },
    state: accounts && stateChange(accounts.salt, { was: was.get(id), is: is.get(id) }),
  }))
}
