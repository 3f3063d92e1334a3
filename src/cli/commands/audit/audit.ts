import type { Command, ExitCode } from '../../command.ts'
import { perform } from '../../control/perform.ts'
import { list } from './list.ts'
import { show } from './show.ts'
import { verify } from './verify.ts'

const restored: Command = {
  name: 'audit restored',
  summary: 'Accept the audit log after a restore or a failover that lost commits',
  details: 'The server stops adding to a log that went back, until this command has accepted it.',
  arguments: [],
  flags: {},
  run: async (environment): Promise<ExitCode> => {
    const { origin, size } = await perform(environment, 'restoreAudit', {})
    const records = `${size.toLocaleString('en')} ${size === 1 ? 'record' : 'records'}`
    environment.stdout(`Accepted the audit log with ${records}. It continues as ${origin}.\n`)
    return 0
  },
}

export const auditCommands: readonly Command[] = [list, show, verify, restored]
