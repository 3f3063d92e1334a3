import { countFindings, type Finding } from '../auditVerification/findings.ts'
import { type Verification, type VerifyDeps, verifyLog } from '../auditVerification/verify.ts'
import { checkAccounts } from './checkAccounts.ts'

export interface WholeVerification extends Verification {
  /** Findings about accounts that were changed outside of this service. `findings` includes them. */
  readonly accountFindings: number
}

/** Verifies the log, then the accounts against it. Reports each finding when it is found. */
export async function verifyLogAndAccounts(
  deps: VerifyDeps,
  report: (finding: Finding) => void,
  onProgress?: (checked: number, size: number) => void,
): Promise<WholeVerification> {
  const verification = await verifyLog(deps, report, onProgress)
  const { find, count } = countFindings(report)
  const notes = await checkAccounts(deps.database.audit, deps.keys, find)
  return {
    ...verification,
    findings: verification.findings + count(),
    accountFindings: count(),
    notes: [...verification.notes, ...notes],
  }
}
