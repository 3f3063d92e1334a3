import { findingText } from '../../../domain/verifiedLog/recordVerification.ts'
import { printable } from '../../../telemetry/log.ts'
import type { AuditReport } from '../../control/auditVerification.ts'

/** Returns the findings, one per line, then the result and the notes. */
export function reportText({ size, pending, findings, accountFindings = 0, notes, listed }: AuditReport): string {
  const records = `${counted(size)} ${size === 1 ? 'record' : 'records'}`
  const waiting = pending > 0 ? `, and ${counted(pending)} pending` : ''
  const ofLog = findings - accountFindings
  const result =
    ofLog === 0
      ? `The audit log is intact: ${records}${waiting}.`
      : `The audit log was tampered with: ${findingsText(ofLog)} in ${records}${waiting}.`
  const rest = findings - listed.length
  const lines = [
    ...listed.map(findingText),
    ...(rest > 0 ? [`${counted(rest)} more ${rest === 1 ? 'finding' : 'findings'}`] : []),
    result,
    ...(accountFindings > 0
      ? [
          `Accounts were changed outside of this service: ${findingsText(accountFindings)}. If a change was intended, run "audittrail audit accept NAME".`,
        ]
      : []),
    ...notes.map((note) => `Note: ${note}.`),
  ]
  return lines.map((text) => `${printable(text)}\n`).join('')
}

function findingsText(count: number): string {
  return `${counted(count)} ${count === 1 ? 'finding' : 'findings'}`
}

export function counted(count: number): string {
  return count.toLocaleString('en')
}
