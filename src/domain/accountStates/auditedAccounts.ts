import type { Account } from '../../db/audit/accounts.ts'
import type { AuditedStatements, ChangeKind } from '../../db/database.ts'
import { type AuditDeps, audited } from '../audit/audited.ts'
import type { AuditRecord, StateChange } from '../audit/record.ts'
import { stateChange } from './state.ts'

/** Returns the states of an account before and after a change, for its record. */
export type StateOf = (change: { readonly was?: Account | undefined; readonly is?: Account | undefined }) => StateChange

/**
 * Changes accounts as `audited` does, with the states in the record of each change. The state after
 * it is what was asked for, not what the database returns: a trigger may have changed that.
 */
export async function auditedAccounts<T>(
  deps: AuditDeps,
  change: (statements: AuditedStatements) => Promise<T>,
  recordsOf: (result: T, stateOf: StateOf) => readonly AuditRecord[],
  kind?: ChangeKind,
): Promise<T> {
  const { result } = await audited(
    deps,
    async (statements) => {
      const changed = await change(statements)
      return { result: changed, salt: (await statements.audit.readAccountSetting()).salt }
    },
    (made) => recordsOf(made.result, (states) => stateChange(made.salt, states)),
    kind,
  )
  return result
}
