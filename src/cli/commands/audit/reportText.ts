import type { Finding } from '../../../domain/auditVerification/findings.ts'
import { printable } from '../../../telemetry/log.ts'
import type { AuditReport } from '../../control/auditVerification.ts'

/** Returns the findings, one per line, then the result and the notes. */
export function reportText({ size, pending, findings, notes, listed }: AuditReport): string {
  const records = `${counted(size)} ${size === 1 ? 'record' : 'records'}`
  const waiting = pending > 0 ? `, and ${counted(pending)} pending` : ''
  const result =
    findings === 0
      ? `The audit log is intact: ${records}${waiting}.`
      : `The audit log was tampered with: ${counted(findings)} ${findings === 1 ? 'finding' : 'findings'} in ${records}${waiting}.`
  const rest = findings - listed.length
  const lines = [
    ...listed.map(findingText),
    ...(rest > 0 ? [`${counted(rest)} more ${rest === 1 ? 'finding' : 'findings'}`] : []),
    result,
    ...notes.map((note) => `Note: ${note}.`),
  ]
  return lines.map((text) => `${printable(text)}\n`).join('')
}

function findingText({ index, time, type, problem }: Finding): string {
  return index === undefined ? problem : `record ${index} (${time} ${type}) ${problem}`
}

export function counted(count: number): string {
  return count.toLocaleString('en')
}
