import { isUuid } from '../../uuid.ts'
import type { Command, ExitCode } from '../command.ts'
import { perform } from '../control/perform.ts'
import { jsonText, table } from '../terminal/table.ts'

const list: Command = {
  name: 'session list',
  summary: 'List the active sessions of a user',
  arguments: ['NAME'],
  flags: { json: { doc: 'Print JSON' } },
  run: async (environment, { arguments: [username = ''], flags }): Promise<ExitCode> => {
    const sessions = await perform(environment, 'listSessions', { username })
    const headings = ['ID', 'LAST USED', 'EXPIRES', 'ADDRESS', 'AGENT']
    const rows = sessions.map((session) => [
      session.id,
      session.last_used_at,
      session.expires_at,
      session.address ?? '',
      session.user_agent ?? '',
    ])
    environment.stdout(flags.has('json') ? jsonText(sessions) : table(headings, rows))
    return 0
  },
}

const revoke: Command = {
  name: 'session revoke',
  summary: 'End a session, or all sessions of a user',
  arguments: ['ID|NAME'],
  flags: {},
  run: async (environment, { arguments: [target = ''] }): Promise<ExitCode> => {
    if (isUuid(target)) {
      await perform(environment, 'revokeSession', { id: target.toLowerCase() })
      environment.stdout('Session ended.\n')
      return 0
    }
    const ended = await perform(environment, 'revokeSessions', { username: target })
    environment.stdout(`Sessions ended: ${ended}.\n`)
    return 0
  },
}

export const sessionCommands: readonly Command[] = [list, revoke]
