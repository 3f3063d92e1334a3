import { isUuid } from '../../uuid.ts'
import type { Command, ExitCode } from '../command.ts'
import { perform } from '../control/perform.ts'
import { jsonText, table } from '../terminal/table.ts'

const list: Command = {
  name: 'session list',
  summary: "list a user's living sessions",
  words: ['NAME'],
  flags: { json: { doc: 'as JSON' } },
  run: async (surroundings, { words: [username = ''], flags }): Promise<ExitCode> => {
    const sessions = await perform(surroundings, 'listSessions', { username })
    const rows = sessions.map((session) => [
      session.id,
      session.last_used_at,
      session.expires_at,
      session.address ?? '',
      session.user_agent ?? '',
    ])
    surroundings.stdout(
      flags.has('json') ? jsonText(sessions) : table(['ID', 'LAST USED', 'EXPIRES', 'ADDRESS', 'AGENT'], rows),
    )
    return 0
  },
}

const revoke: Command = {
  name: 'session revoke',
  summary: 'end a session by its id, or all sessions of a user by name',
  words: ['ID|NAME'],
  flags: {},
  run: async (surroundings, { words: [target = ''] }): Promise<ExitCode> => {
    if (isUuid(target)) {
      await perform(surroundings, 'revokeSession', { id: target.toLowerCase() })
      surroundings.stdout('Session ended.\n')
      return 0
    }
    const ended = await perform(surroundings, 'revokeSessions', { username: target })
    surroundings.stdout(`Sessions ended: ${ended}.\n`)
    return 0
  },
}

export const sessionCommands: readonly Command[] = [list, revoke]
