import { hasSecretKey } from '../../app/secretKey.ts'
import { AppError } from '../../error.ts'
import type { Command, CommandEnvironment, ExitCode } from '../command.ts'
import { perform } from '../control/perform.ts'
import { requireConfirmation, yes } from '../terminal/confirmation.ts'
import { jsonText, table } from '../terminal/table.ts'

const list: Command = {
  name: 'key list',
  summary: 'List the keys that sign and verify tokens',
  arguments: [],
  flags: { json: { doc: 'Print JSON' } },
  run: async (environment, { flags }): Promise<ExitCode> => {
    const keys = await perform(environment, 'listKeys', {})
    const headings = ['KEY', 'ALGORITHM', 'STATE', 'CREATED', 'SIGNS FROM', 'VERIFIES UNTIL']
    const rows = keys.map((key) => [
      key.kid ?? `SECRET_KEY ${key.fingerprint}`,
      key.algorithm,
      key.state,
      key.created_at,
      key.signs_from,
      key.verifies_until ?? '',
    ])
    environment.stdout(flags.has('json') ? jsonText(keys) : table(headings, rows))
    return 0
  },
}

const rotate: Command = {
  name: 'key rotate',
  summary: 'Publish the next signing key',
  details: 'The key starts signing a minute later, when every verifier has had time to fetch it.',
  arguments: [],
  flags: {},
  run: async (environment): Promise<ExitCode> => {
    requireSecretKey(environment)
    const { kid, algorithm, signs_from } = await perform(environment, 'rotateKey', {})
    environment.stdout(`Key ${kid} (${algorithm}) is published and signs from ${signs_from}.\n`)
    return 0
  },
}

const reset: Command = {
  name: 'key reset',
  summary: 'Replace all keys and end all sessions',
  details: 'The last resort when SECRET_KEY is lost or has leaked.',
  arguments: [],
  flags: { yes },
  run: async (environment, { flags }): Promise<ExitCode> => {
    requireSecretKey(environment)
    await requireConfirmation('Replace all signing keys and sign out every user?', flags)
    const ended = await perform(environment, 'resetKeys', {})
    environment.stdout(`All keys replaced. Sessions ended: ${ended ?? 'all'}.\n`)
    return 0
  },
}

export const keyCommands: readonly Command[] = [list, rotate, reset]

/** A command that generated its own SECRET_KEY on another machine would lock the server out. */
function requireSecretKey({ config }: CommandEnvironment): void {
  if (!config.databaseUrl || hasSecretKey(config)) return
  throw new AppError('refused', 'SECRET_KEY is not set. This command needs the SECRET_KEY of the server.')
}
