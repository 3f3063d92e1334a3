import { type ApiKeyDraft, scopes } from '../../domain/apiKeys/apiKeys.ts'
import { AppError } from '../../error.ts'
import { printable } from '../../telemetry/log.ts'
import { isUuid } from '../../uuid.ts'
import type { Command, CommandInput, ExitCode } from '../command.ts'
import { perform } from '../control/perform.ts'
import { requireConfirmation, yes } from '../terminal/confirmation.ts'
import { jsonText, table } from '../terminal/table.ts'

const json = { doc: 'Print JSON' } as const

const create: Command = {
  name: 'apikey create',
  summary: 'Create an API key for a service',
  details: 'The key is the only line on standard output, and it is shown only once.',
  arguments: ['NAME'],
  flags: {
    scope: { value: 'SCOPE', doc: `What the key may do here: ${scopes.join(', ')}`, isRepeatable: true },
    role: { value: 'ROLE', doc: 'A role for services behind Nginx', isRepeatable: true },
    days: { value: 'N', doc: 'Days until the key expires (default: 365)' },
    'no-expiry': { doc: 'Create a key that never expires' },
    json,
  },
  run: async (environment, input): Promise<ExitCode> => {
    const created = await perform(environment, 'createApiKey', draftOf(input))
    if (input.flags.has('json')) {
      environment.stdout(jsonText(created))
      return 0
    }
    const expiry = created.expires_at === null ? 'never expires' : `expires ${created.expires_at}`
    environment.stderr(`API key ${created.id} for ${created.name} created; it ${expiry}. The key is shown only once:\n`)
    environment.stdout(`${created.key}\n`)
    return 0
  },
}

const list: Command = {
  name: 'apikey list',
  summary: 'List API keys, newest first',
  arguments: [],
  flags: { all: { doc: 'Include revoked keys' }, json },
  run: async (environment, { flags }): Promise<ExitCode> => {
    const isAll = flags.has('all')
    const apiKeys = await perform(environment, 'listApiKeys', { all: isAll })
    const rows = apiKeys.map((apiKey) => [
      apiKey.id,
      apiKey.name,
      apiKey.scopes.join(','),
      apiKey.roles.join(','),
      apiKey.created_by,
      apiKey.expires_at ?? 'never',
      apiKey.last_used_at ?? 'never',
      ...(isAll ? [apiKey.revoked_at ? `${apiKey.revoked_at} by ${apiKey.revoked_by}` : ''] : []),
    ])
    const headings = ['ID', 'SERVICE', 'SCOPES', 'ROLES', 'CREATED BY', 'EXPIRES', 'LAST USED']
    const text = () => table(isAll ? [...headings, 'REVOKED'] : headings, rows)
    environment.stdout(flags.has('json') ? jsonText(apiKeys) : text())
    return 0
  },
}

const revoke: Command = {
  name: 'apikey revoke',
  summary: 'Revoke a key, or all keys of a service',
  arguments: ['ID|NAME'],
  flags: { yes },
  run: async (environment, { arguments: [target = ''], flags }): Promise<ExitCode> => {
    const isKey = isUuid(target)
    await requireConfirmation(isKey ? 'Revoke this API key?' : `Revoke all API keys of ${printable(target)}?`, flags)
    const revoked = isKey
      ? await perform(environment, 'revokeApiKey', { id: target.toLowerCase() })
      : await perform(environment, 'revokeApiKeys', { name: target })
    environment.stdout(`API keys revoked: ${revoked}.\n`)
    return 0
  },
}

export const apiKeyCommands: readonly Command[] = [create, list, revoke]

const maxDays = 36_500

function draftOf({ arguments: [name = ''], flags }: CommandInput): ApiKeyDraft {
  const [days] = flags.get('days') ?? []
  if (days !== undefined && flags.has('no-expiry'))
    throw new AppError('usage', '--days and --no-expiry cannot be used together.')
  if (days !== undefined && !(/^[1-9]\d{0,4}$/.test(days) && Number(days) <= maxDays))
    throw new AppError('usage', `--days must be a whole number from 1 to ${maxDays}.`)
  const draft = { name, scopes: flags.get('scope') ?? [], roles: flags.get('role') ?? [] }
  if (flags.has('no-expiry')) return { ...draft, expires_at: null }
  return days === undefined ? draft : { ...draft, days: Number(days) }
}
