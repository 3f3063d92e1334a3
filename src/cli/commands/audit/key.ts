import type { Command, ExitCode } from '../../command.ts'
import { readAuditLog } from '../../control/auditLog.ts'

export const key: Command = {
  name: 'audit key',
  summary: 'Print the key that verifies the audit log',
  details: 'It is a verifier key (c2sp.org/signed-note). Give it to auditors and witnesses.',
  arguments: [],
  flags: { all: { doc: 'Also print those of SECRET_KEY_PREVIOUS and of former names of the log' } },
  run: async (environment, { flags }): Promise<ExitCode> => {
    const { current, former } = await readAuditLog(environment, 'listAuditKeys', {})
    for (const vkey of flags.has('all') ? [current, ...former] : [current]) environment.stdout(`${vkey}\n`)
    return 0
  },
}
