import type { Database } from '../../db/database.ts'
import { entryOf, recordsOfEntries } from '../accountStates/entries.ts'
import type { AuditKeys } from '../audit/auditKeys.ts'
import type { AuditRecord } from '../audit/record.ts'
import { readAccountStates } from './readStates.ts'

/**
 * Returns records of what the log says about accounts below an index, to be written before that
 * part is pruned. Reads the log and not the accounts, so that no change by SQL slips in. Undefined
 * if records that it needs were pruned.
 */
export async function carriedStates(
  audit: Database['audit'],
  keys: AuditKeys,
  below: number,
): Promise<readonly AuditRecord[] | undefined> {
  const ids = new Set<string>()
  const states = await readAccountStates(audit, keys, below, { onAccount: (id) => ids.add(id) })
  const entries = [...ids].map((id) => entryOf(id, states.chains.carriedOf(id)))
  if (await states.isOvertaken()) return undefined
  const salt = [...states.salts].at(-1)
  return salt === undefined ? [] : recordsOfEntries(entries, { of: 'pruning', salt, below }, states.isComplete())
}
