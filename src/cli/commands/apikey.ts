import { type ApiKeyDraft, scopes } from '../../domain/apiKeys/apiKeys.ts'
import { AppError } from '../../error.ts'
import { isUuid } from '../../uuid.ts'
import type { Arguments, Command, ExitCode } from '../command.ts'
import { perform } from '../control/perform.ts'
import { jsonText, table } from '../terminal/table.ts'

const json = { doc: 'as JSON' } as const

const create: Command = {
  name: 'apikey create',
  summary: 'make an API key for a service; the key is the one line on standard output, this once',
  words: ['NAME'],
  flags: {
    scope: { doc: `what it opens here: ${scopes.join(', ')}; may be repeated`, takes: 'SCOPE', isRepeatable: true },
    role: { doc: 'what it opens at services behind Nginx; may be repeated', takes: 'ROLE', isRepeatable: true },
    days: { doc: 'days until it expires (365)', takes: 'N' },
    'no-expiry': { doc: 'it never expires' },
    json,
  },
  run: async (surroundings, given): Promise<ExitCode> => {
    const made = await perform(surroundings, 'createApiKey', requestOf(given))
    if (given.flags.has('json')) {
      surroundings.stdout(jsonText(made))
      return 0
    }
    const expiry = made.expires_at === null ? 'never expires' : `expires ${made.expires_at}`
    surroundings.stderr(`API key ${made.id} of ${made.name} made; it ${expiry}. It is shown this once:\n`)
    surroundings.stdout(`${made.key}\n`)
    return 0
  },
}

const list: Command = {
  name: 'apikey list',
  summary: 'list the API keys, the latest first',
  words: [],
  flags: { all: { doc: 'those that were revoked, too' }, json },
  run: async (surroundings, { flags }): Promise<ExitCode> => {
    const apiKeys = await perform(surroundings, 'listApiKeys', { all: flags.has('all') })
    const rows = apiKeys.map((apiKey) => [
      apiKey.id,
      apiKey.name,
      apiKey.scopes.join(','),
      apiKey.roles.join(','),
      apiKey.created_by,
      apiKey.expires_at ?? 'never',
      apiKey.last_used_at ?? 'never',
      ...(flags.has('all') ? [apiKey.revoked_at ? `${apiKey.revoked_at} by ${apiKey.revoked_by}` : ''] : []),
    ])
    const headings = [
      'ID',
      'SERVICE',
      'SCOPES',
      'ROLES',
      'MADE BY',
      'EXPIRES',
      'LAST USED',
      ...(flags.has('all') ? ['REVOKED'] : []),
    ]
    surroundings.stdout(flags.has('json') ? jsonText(apiKeys) : table(headings, rows))
    return 0
  },
}

const revoke: Command = {
  name: 'apikey revoke',
  summary: 'end an API key by its id, or all keys of a service by its name',
  words: ['ID|NAME'],
  flags: {},
  run: async (surroundings, { words: [target = ''] }): Promise<ExitCode> => {
    const revoked = isUuid(target)
      ? await perform(surroundings, 'revokeApiKey', { id: target.toLowerCase() })
      : await perform(surroundings, 'revokeApiKeys', { name: target })
    surroundings.stdout(`API keys revoked: ${revoked}.\n`)
    return 0
  },
}

export const apiKeyCommands: readonly Command[] = [create, list, revoke]

const mostDays = 36_500

function requestOf({ words: [name = ''], flags }: Arguments): ApiKeyDraft {
  const [days] = flags.get('days') ?? []
  if (days !== undefined && flags.has('no-expiry'))
    throw new AppError('usage', '--days and --no-expiry contradict one another.')
  if (days !== undefined && !(/^[1-9]\d{0,4}$/.test(days) && Number(days) <= mostDays))
    throw new AppError('usage', `--days takes a whole number of days, 1 to ${mostDays}.`)
  const request = { name, scopes: flags.get('scope') ?? [], roles: flags.get('role') ?? [] }
  if (flags.has('no-expiry')) return { ...request, expires_at: null }
  return days === undefined ? request : { ...request, days: Number(days) }
}
