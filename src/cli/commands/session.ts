import type { PresentedSession } from '../../domain/presentation.ts'
import { printable } from '../../telemetry/log.ts'
import { isUuid } from '../../uuid.ts'
import type { Command, ExitCode } from '../command.ts'
import { perform } from '../control/perform.ts'
import { requireConfirmation, yes } from '../terminal/confirmation.ts'
import { jsonText, minutes, table } from '../terminal/table.ts'

const list: Command = {
  name: 'session list',
  summary: 'List the active sessions of a user',
  arguments: ['NAME'],
  flags: { json: { doc: 'Print JSON' } },
  run: async (environment, { arguments: [username = ''], flags }): Promise<ExitCode> => {
    const sessions = await perform(environment, 'listSessions', { username })
    environment.stdout(flags.has('json') ? jsonText(sessions) : sessionTable(sessions))
    return 0
  },
}

const revoke: Command = {
  name: 'session revoke',
  summary: 'End a session, or all sessions of a user',
  arguments: ['ID|NAME'],
  flags: { yes },
  run: async (environment, { arguments: [target = ''], flags }): Promise<ExitCode> => {
    if (isUuid(target)) {
      await perform(environment, 'revokeSession', { id: target.toLowerCase() })
      environment.stdout('Session ended.\n')
      return 0
    }
    await requireConfirmation(`End all sessions of ${printable(target)}?`, flags)
    const ended = await perform(environment, 'revokeSessions', { username: target })
    environment.stdout(`Sessions ended: ${ended}.\n`)
    return 0
  },
}

export const sessionCommands: readonly Command[] = [list, revoke]

const lineWidth = 80

/** The client goes on a second line, since a session's id and times fill the first. */
function sessionTable(sessions: readonly PresentedSession[]): string {
  const rows = sessions.map(({ id, last_used_at, expires_at }) => [id, minutes(last_used_at), minutes(expires_at)])
  const [heading = '', ...lines] = table(['ID', 'LAST USED (UTC)', 'EXPIRES (UTC)'], rows).split(/(?<=\n)/)
  return heading + sessions.map((session, index) => `${lines[index]}${client(session)}`).join('')
}

function client({ address, user_agent, kind, stay }: PresentedSession): string {
  const credential = `  ${kind ?? 'token'}${stay ? ', stays signed in' : ''}`
  const text = [address, user_agent].filter((part) => part !== null && part !== '').join('  ')
  const shown = printable(text.replace(/\p{Cc}/gu, ' ')).slice(0, lineWidth - credential.length - 2)
  return `${shown === '' ? '' : `  ${shown}`}${credential}\n`
}
