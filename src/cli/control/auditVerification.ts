import type { Finding } from '../../domain/auditVerification/findings.ts'
import type { Verification } from '../../domain/auditVerification/verify.ts'
import {
  type ListedVerification,
  recordVerification,
  type VerifyingDeps,
  verifyListed,
} from '../../domain/verifiedLog/recordVerification.ts'
import { AppError } from '../../error.ts'
import { actor } from './auditOperations.ts'

/** `listed` are the first findings. */
export type AuditReport = ListedVerification

export interface VerificationProgress {
  readonly checked: number
  readonly size: number
}

const listedFindings = 20

/**
 * Verifies the audit log, and records the result in it unless `unrecorded` says why not. Ends if
 * `onProgress` throws.
 */
export async function verifyAudit(
  deps: VerifyingDeps,
  onProgress: (progress: VerificationProgress) => void,
  unrecorded?: string,
): Promise<AuditReport> {
  const finished = await verifyListed(deps, { onProgress: (checked, size) => onProgress({ checked, size }) })
  const problem = unrecorded ?? (await recordVerification(deps, actor, finished))
  const { verification } = finished
  if (problem === undefined) return verification
  return { ...verification, notes: [...verification.notes, `this result is not in the audit log: ${problem}`] }
}

/** Adds the first findings to a verification. */
export async function listFirst(
  verify: (report: (finding: Finding) => void) => Promise<Verification>,
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
