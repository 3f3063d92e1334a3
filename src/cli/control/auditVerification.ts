import type { Finding } from '../../domain/auditVerification/findings.ts'
import { type Verification, verifyLog } from '../../domain/auditVerification/verify.ts'
import type { Deps } from '../../domain/deps.ts'
import { AppError } from '../../error.ts'

export interface AuditReport extends Verification {
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
  { database, audit, readKept }: Pick<Deps, 'database' | 'audit' | 'readKept'>,
  onProgress: (progress: VerificationProgress) => void,
): Promise<AuditReport> {
  const listed: Finding[] = []
  const report = (finding: Finding) => {
    if (listed.length < listedFindings) listed.push(finding)
  }
  const verification = await verifyLog({ database, keys: audit.keys, readKept }, report, (checked, size) =>
    onProgress({ checked, size }),
  )
  return { ...verification, listed }
}

export function interrupted(): AppError {
  return new AppError('refused', 'Interrupted.')
}
