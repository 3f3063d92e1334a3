import { AppError } from '../../../error.ts'
import type { Command, ExitCode } from '../../command.ts'
import { perform } from '../../control/perform.ts'
import { requireConfirmation, yes } from '../../terminal/confirmation.ts'
import { accept } from './accept.ts'
import { erase } from './erase.ts'
import { exportLog } from './export.ts'
import { key } from './key.ts'
import { list } from './list.ts'
import { proof } from './proof.ts'
import { prune } from './prune.ts'
import { show } from './show.ts'
import { verify } from './verify.ts'

const restored: Command = {
  name: 'audit restored',
  summary: 'Accept the audit log of a restored database',
  details:
    'After a restore, or a failover that lost commits, the server adds nothing to the log until it is accepted. The log continues under a new name.',
  arguments: [],
  flags: {},
  run: async (environment): Promise<ExitCode> => {
    const { origin, size } = await perform(environment, 'restoreAudit', {})
    const records = `${size.toLocaleString('en')} ${size === 1 ? 'record' : 'records'}`
    environment.stdout(`Accepted the audit log with ${records}. It continues as ${origin}.\n`)
    return 0
  },
}

const reject: Command = {
  name: 'audit reject',
  summary: 'Delete a pending row of unknown origin',
  details: 'The record of it has the SHA-256 hash of the row. "audittrail audit verify" prints the ID.',
  arguments: ['ID'],
  flags: { yes },
  run: async (environment, { arguments: [id = ''], flags }): Promise<ExitCode> => {
    if (!/^-?\d{1,18}$/.test(id)) throw new AppError('usage', 'ID must be a number, such as 42.')
    await requireConfirmation(`Delete the pending row ${id}? It may be evidence: copy it first.`, flags)
    await perform(environment, 'rejectPending', { id })
    environment.stdout(`Pending row ${id} deleted.\n`)
    return 0
  },
}

export const auditCommands: readonly Command[] = [
  list,
  show,
  verify,
  exportLog,
  proof,
  key,
  erase,
  prune,
  reject,
  accept,
  restored,
]
