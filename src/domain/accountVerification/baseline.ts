import { accountsPerRecord, baselineRecords } from '../accountStates/entries.ts'
import { type AuditDeps, audited } from '../audit/audited.ts'

/**
 * Records the states of the accounts that were there before the log covered them, until `isEnding`.
 * It happens once, after the migration.
 */
export async function recordBaseline(deps: AuditDeps, isEnding: () => boolean): Promise<void> {
  const take = () =>
    audited(
      deps,
      ({ audit }) => audit.takeBaseline(accountsPerRecord),
      (page) => (page ? baselineRecords(page.salt, 'database', page.accounts, page.isComplete) : []),
    )
  while (!isEnding() && (await take())?.isComplete === false);
}
