import { verifyLogAndAccounts, type WholeVerification } from '../../domain/accountVerification/verifyLogAndAccounts.ts'
import type { Finding } from '../../domain/auditVerification/findings.ts'
import type { Deps } from '../../domain/deps.ts'
import { AppError } from '../../error.ts'

export interface AuditReport extends Omit<WholeVerification, 'accountFindings'> {
  /** Undefined for an export, which has no accounts. */
  readonly accountFindings?: number
  /** The first findings. */
  readonly listed: readonly Finding[]
}

export interface VerificationProgress {
  readonly checked: number
  readonly size: number
}

const listedFindings = 20

/** Verifies the audit log. `onProgress` ends it if it throws. */
export async function verifyAudit(
  { database, audit, readKept, witnesses }: Pick<Deps, 'database' | 'audit' | 'readKept' | 'witnesses'>,
  onProgress: (progress: VerificationProgress) => void,
): Promise<AuditReport> {
  return listFirst((report) =>
    verifyLogAndAccounts({ database, keys: audit.keys, readKept, witnesses }, report, (checked, size) =>
      onProgress({ checked, size }),
    ),
  )
}

/** Adds the first findings to a verification. */
export async function listFirst(
  verify: (report: (finding: Finding) => void) => Promise<Omit<AuditReport, 'listed'>>,
): Promise<AuditReport> {
  const listed: Finding[] = []
  const verification = await verify((finding) => {
    if (listed.length < listedFindings) listed.push(finding)
  })
  return { ...verification, listed }
}

export function interrupted(): AppError {
  return new AppError('refused', 'Interrupted.')
}
