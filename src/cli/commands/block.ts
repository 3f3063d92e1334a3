import { isUuid } from '../../uuid.ts'
import type { Command, ExitCode } from '../command.ts'
import { perform } from '../control/perform.ts'
import { jsonText, table } from '../terminal/table.ts'

const list: Command = {
  name: 'block list',
  summary: 'List blocked users and networks',
  details: 'A user, network or device is blocked for a while after too many failed sign-ins.',
  arguments: [],
  flags: { json: { doc: 'Print JSON' } },
  run: async (environment, { flags }): Promise<ExitCode> => {
    const blocks = await perform(environment, 'listBlocks', {})
    const headings = ['ID', 'KIND', 'USER', 'NETWORK', 'FAILURES', 'UNTIL']
    const rows = blocks.map((block) => [
      block.id,
      block.kind,
      block.username ?? '',
      block.network ?? '',
      String(block.failures),
      block.blocked_until,
    ])
    environment.stdout(flags.has('json') ? jsonText(blocks) : table(headings, rows))
    return 0
  },
}

const lift: Command = {
  name: 'block lift',
  summary: 'Lift a block, or all of a user or network',
  arguments: ['ID|NAME|NETWORK'],
  flags: {},
  run: async (environment, { arguments: [target = ''] }): Promise<ExitCode> => {
    const lifted = isUuid(target)
      ? await perform(environment, 'liftBlock', { id: target.toLowerCase() })
      : await perform(environment, 'liftBlocks', { target })
    environment.stdout(`Blocks lifted: ${lifted}.\n`)
    return 0
  },
}

export const blockCommands: readonly Command[] = [list, lift]
