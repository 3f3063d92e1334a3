import { isDatabaseKey } from '../../../app/startup.ts'
import { AppError } from '../../../error.ts'
import { describeError, printable } from '../../../telemetry/log.ts'
import type { Command, CommandEnvironment, ExitCode } from '../../command.ts'
import { requireKeyOfLog, withAuditLog } from '../../control/auditLog.ts'
import {
  type AuditReport,
  interrupted,
  type VerificationProgress,
  verifyAudit,
} from '../../control/auditVerification.ts'
import { asCommand } from '../../control/operations.ts'
import { hasRunningServer } from '../../control/perform.ts'
import { askServerToVerify } from '../../control/streams.ts'
import { awaitInterruption } from '../../terminal/interruption.ts'
import { progressBar, showLine } from '../../terminal/progress.ts'
import { jsonText } from '../../terminal/table.ts'
import { counted, reportText } from './reportText.ts'
import { exportVerifier, trustFlags } from './verifyExport.ts'

export const verify: Command = {
  name: 'audit verify',
  summary: 'Check whether the audit log was tampered with',
  details:
    'Exits with 0 if the log is intact, 1 if it was tampered with, and 3 if it could not be checked. With DIR, it checks an export, and opens no database.',
  arguments: ['[DIR]'],
  flags: { json: { doc: 'Print JSON' }, ...trustFlags },
  run: async (environment, { arguments: [directory], flags }): Promise<ExitCode> => {
    const verifier = exportVerifier(directory, flags)
    try {
      const report = await showingProgress((onProgress, signal) =>
        verifier ? verifier(onProgress) : runVerification(environment, onProgress, signal),
      )
      environment.stdout(flags.has('json') ? jsonText(report) : reportText(report))
      return report.findings > 0 ? 1 : 0
    } catch (error) {
      environment.stderr(`audittrail: The audit log could not be checked: ${printable(reasonOf(error))}\n`)
      return 3
    }
  },
}

type OnProgress = (progress: VerificationProgress) => void

/** Runs on the server that has the embedded database open, or in this process. */
async function runVerification(
  environment: CommandEnvironment,
  onProgress: OnProgress,
  signal: AbortSignal,
): Promise<AuditReport> {
  if (await hasRunningServer(environment)) return askServerToVerify(environment.config.dataDir, onProgress, signal)
  return withAuditLog(environment, async (_, app) => {
    await requireKeyOfLog(app)
    await app.synchronizeClock()
    const unrecorded = (await isDatabaseKey(app)) ? undefined : 'no server has used this database yet'
    return verifyAudit(asCommand(app.deps), onProgress, unrecorded)
  })
}

async function showingProgress(
  run: (onProgress: OnProgress, signal: AbortSignal) => Promise<AuditReport>,
): Promise<AuditReport> {
  const line = showLine()
  const interruption = awaitInterruption()
  const aborting = new AbortController()
  void interruption.requested.then(() => aborting.abort())
  const onProgress: OnProgress = ({ checked, size }) => {
    if (interruption.isRequested()) throw interrupted()
    line.show(`${progressBar(size === 0 ? 1 : checked / size)}  ${counted(checked)} of ${counted(size)} records`)
  }
  try {
    return await run(onProgress, aborting.signal)
  } catch (error) {
    throw interruption.isRequested() ? interrupted() : error
  } finally {
    interruption.release()
    line.clear()
  }
}

function reasonOf(error: unknown): string {
  if (error instanceof AppError) return error.message
  const { error: name, stack } = describeError(error)
  return `Internal error (${name}). This is a bug in AuditTrail: ${stack}`
}
