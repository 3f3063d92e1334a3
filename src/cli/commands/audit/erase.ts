import { printable } from '../../../telemetry/log.ts'
import type { Command, ExitCode } from '../../command.ts'
import { perform } from '../../control/perform.ts'
import { requireConfirmation, yes } from '../../terminal/confirmation.ts'

export const erase: Command = {
  name: 'audit erase',
  summary: 'Erase the personal data of a user',
  details:
    'Erases names, addresses and browsers from the records by and about the user, and from failed sign-ins. The user may be deleted already. The records stay. Logs already shipped and backups keep theirs.',
  arguments: ['NAME|ID'],
  flags: { yes },
  run: async (environment, { arguments: [name = ''], flags }): Promise<ExitCode> => {
    const person = printable(name)
    await requireConfirmation(`Erase the names and addresses of ${person} from the audit log for good?`, flags)
    const { id, erased, isUser } = await perform(environment, 'eraseAudit', { name })
    const records = `${erased.toLocaleString('en')} ${erased === 1 ? 'record' : 'records'}`
    environment.stdout(
      erased === 0
        ? `The audit log has no personal data of ${person}.\n`
        : `Erased the personal data of ${id ?? person} from ${records}.\n`,
    )
    if (isUser) environment.stderr('audittrail: The user exists, so new records will have their name and address.\n')
    return 0
  },
}
