import type { AuditKeys } from '../../../src/domain/audit/auditKeys.ts'
import type { Deps } from '../../../src/domain/deps.ts'
import { listVerifications, partOf } from '../../../src/domain/verifiedLog/lastVerification.ts'
import { findingText, recordVerification, verifyListed } from '../../../src/domain/verifiedLog/recordVerification.ts'
import { AppError } from '../../../src/error.ts'

/** Returns what the newest verification in the log found intact. */
export async function newestPart({ audit }: Deps['database'], keys: AuditKeys) {
  const [newest] = await listVerifications(audit, keys)
  return newest && partOf(audit, newest)
}

/**
 * Verifies the new records, or the whole log, and records it. Returns the findings and the scope.
 */
export async function verifyOnce(deps: Deps, choice: 'new' | 'whole', onProgress = async () => {}) {
  const verified = choice === 'new' ? await newestPart(deps.database, deps.audit.keys) : undefined
  const finished = await verifyListed(deps, { verified, recordsPerPage: 7, onProgress })
  const problem = await recordVerification(deps, 'test', finished)
  if (problem !== undefined) throw new AppError('unavailable', problem)
  return { scope: finished.scope, found: finished.verification.listed.map(findingText) }
}
