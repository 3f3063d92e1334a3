import { countFindings, type Finding } from '../auditVerification/findings.ts'
import {
  type CheckedLog,
  checkLog,
  type OnProgress,
  type Verification,
  type VerifyDeps,
} from '../auditVerification/verify.ts'
import { checkAccounts } from './checkAccounts.ts'

export interface CheckedLogAndAccounts extends CheckedLog {
  readonly verification: Verification & {
    /** Of the findings, those about accounts. */
    readonly accountFindings: number
  }
}

/** Checks the log, then the accounts against it. Passes what is wrong to `report`. */
export async function checkLogAndAccounts(
  deps: VerifyDeps,
  report: (finding: Finding) => void,
  onProgress: OnProgress = () => {},
): Promise<CheckedLogAndAccounts> {
  const checked = await checkLog(deps, report, onProgress)
  const { size, findings, notes } = checked.verification
  const { find, count } = countFindings(report)
  const accountNotes = await checkAccounts(deps, find, () => onProgress(size, size))
  const verification = {
    ...checked.verification,
    findings: findings + count(),
    accountFindings: count(),
    notes: [...notes, ...accountNotes],
  }
  return { ...checked, verification }
}
