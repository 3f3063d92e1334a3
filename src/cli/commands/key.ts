import { hasSecretKey } from '../../app/secretKey.ts'
import { AppError } from '../../error.ts'
import type { Command, CommandEnvironment, ExitCode } from '../command.ts'
import { perform } from '../control/perform.ts'
import { jsonText, table } from '../terminal/table.ts'

const list: Command = {
  name: 'key list',
  summary: 'list the keys that sign and verify tokens',
  words: [],
  flags: { json: { doc: 'as JSON' } },
  run: async (surroundings, { flags }): Promise<ExitCode> => {
    const keys = await perform(surroundings, 'listKeys', {})
    const rows = keys.map((key) => [
      key.kid ?? `SECRET_KEY ${key.fingerprint}`,
      key.algorithm,
      key.state,
      key.created_at,
      key.signs_from,
      key.verifies_until ?? '',
    ])
    const headings = ['KEY', 'ALGORITHM', 'STATE', 'CREATED', 'SIGNS FROM', 'VERIFIES UNTIL']
    surroundings.stdout(flags.has('json') ? jsonText(keys) : table(headings, rows))
    return 0
  },
}

const rotate: Command = {
  name: 'key rotate',
  summary: 'publish the next key of the algorithm in use; it signs a minute later',
  words: [],
  flags: {},
  run: async (surroundings): Promise<ExitCode> => {
    requireOwnSecretKey(surroundings)
    const { kid, algorithm, signs_from } = await perform(surroundings, 'rotateKey', {})
    surroundings.stdout(`Key ${kid} (${algorithm}) is published, and signs from ${signs_from}.\n`)
    return 0
  },
}

const reset: Command = {
  name: 'key reset',
  summary: 'the last way out when SECRET_KEY is lost or has leaked: end all sessions, throw all keys away, begin anew',
  words: [],
  flags: {},
  run: async (surroundings): Promise<ExitCode> => {
    requireOwnSecretKey(surroundings)
    const ended = await perform(surroundings, 'resetKeys', {})
    surroundings.stdout(`Keys made anew. Sessions ended: ${ended}.\n`)
    return 0
  },
}

export const keyCommands: readonly Command[] = [list, rotate, reset]

/** A command that made a SECRET_KEY of its own, on another machine than the server's, would lock the server out. */
function requireOwnSecretKey({ config }: CommandEnvironment): void {
  if (!config.databaseUrl || hasSecretKey(config)) return
  throw new AppError('refused', 'SECRET_KEY is not set: this command needs the one that the server has.')
}
