import type { ExportedPart, LogExport } from '../../../domain/publishedLog/exportLog.ts'
import type { Command, CommandEnvironment, ExitCode } from '../../command.ts'
import { exportAudit } from '../../control/auditExport.ts'
import { requireKeyOfLog, withAuditLog } from '../../control/auditLog.ts'
import { actor } from '../../control/auditOperations.ts'
import { asCommand } from '../../control/operations.ts'
import { hasRunningServer } from '../../control/perform.ts'
import { askServerToExportAudit } from '../../control/streams.ts'
import { openOutputDirectory } from '../../terminal/outputDirectory.ts'

const personalFile = 'private.ndjson'

export const exportLog: Command = {
  name: 'audit export',
  summary: 'Export the audit log for others to verify',
  details:
    'DIR becomes a tlog-tiles log (c2sp.org/tlog-tiles), without a name or an address of a person. Exits with 1 if its records differ from the checkpoint.',
  arguments: ['DIR'],
  flags: { personal: { doc: `Also write the names and addresses, to ${personalFile}` } },
  run: async (environment, { arguments: [directory = ''], flags }): Promise<ExitCode> => {
    const output = openOutputDirectory(directory, (path) => path === personalFile)
    try {
      const personal = flags.has('personal')
      const take = async ({ path, content }: ExportedPart) => output.write(path, content)
      const { size, mismatches } = await runExport(environment, { personal }, take)
      const records = `${size.toLocaleString('en')} ${size === 1 ? 'record' : 'records'}`
      environment.stderr(`Exported ${records}.${personal ? ` ${personalFile} contains names and addresses.` : ''}\n`)
      if (mismatches === 0) return 0
      environment.stderr(
        `audittrail: The exported log does not match its checkpoint: ${mismatches.toLocaleString('en')} hashes differ. Run "audittrail audit verify".\n`,
      )
      return 1
    } finally {
      output.close()
    }
  },
}

/** Runs on the server that has the embedded database open, or in this process. */
async function runExport(
  environment: CommandEnvironment,
  choice: { readonly personal: boolean },
  take: (part: ExportedPart) => Promise<void>,
): Promise<LogExport> {
  if (await hasRunningServer(environment)) return askServerToExportAudit(environment.config.dataDir, choice, take)
  return withAuditLog(environment, async (_, app) => {
    await requireKeyOfLog(app)
    return exportAudit(asCommand(app.deps), actor, choice, take)
  })
}
