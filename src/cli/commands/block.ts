import { isUuid } from '../../uuid.ts'
import type { Command, ExitCode } from '../command.ts'
import { perform } from '../control/perform.ts'
import { jsonText, table } from '../terminal/table.ts'

const list: Command = {
  name: 'block list',
  summary: 'list who has to wait after failed sign-ins',
  words: [],
  flags: { json: { doc: 'as JSON' } },
  run: async (surroundings, { flags }): Promise<ExitCode> => {
    const blocks = await perform(surroundings, 'listBlocks', {})
    const rows = blocks.map((block) => [
      block.id,
      block.kind,
      block.username ?? '',
      block.network ?? '',
      String(block.failures),
      block.blocked_until,
    ])
    surroundings.stdout(
      flags.has('json') ? jsonText(blocks) : table(['ID', 'KIND', 'USER', 'NETWORK', 'FAILURES', 'UNTIL'], rows),
    )
    return 0
  },
}

const lift: Command = {
  name: 'block lift',
  summary: 'let somebody try again at once: a block by its id, a user by name, or a network',
  words: ['ID|NAME|NETWORK'],
  flags: {},
  run: async (surroundings, { words: [target = ''] }): Promise<ExitCode> => {
    const lifted = isUuid(target)
      ? await perform(surroundings, 'liftBlock', { id: target.toLowerCase() })
      : await perform(surroundings, 'liftBlocks', { target })
    surroundings.stdout(`Blocks lifted: ${lifted}.\n`)
    return 0
  },
}

export const blockCommands: readonly Command[] = [list, lift]
