import type { PresentedUser } from '../../domain/presentation.ts'
import { AppError } from '../../error.ts'
import type { Arguments, Command, CommandEnvironment, ExitCode } from '../command.ts'
import type { UserSettings } from '../control/operations.ts'
import { perform } from '../control/perform.ts'
import { readPassword } from '../terminal/passwordInput.ts'
import { jsonText, table } from '../terminal/table.ts'

const fullName = { doc: 'full name', takes: 'TEXT' } as const
const role = { doc: 'a role; may be repeated', takes: 'ROLE', isRepeatable: true } as const
const json = { doc: 'as JSON' } as const

const add: Command = {
  name: 'user add',
  summary:
    'make a user; the password is asked for, or is the first line of standard input (empty: a one-time one is printed)',
  words: ['NAME'],
  flags: { 'full-name': fullName, role, 'must-change': { doc: 'the password must be changed at the first login' } },
  run: async (surroundings, { words: [username = ''], flags }): Promise<ExitCode> => {
    const password = await readPassword(username, surroundings.stderr)
    const made = await perform(surroundings, 'addUser', {
      username,
      full_name: flags.get('full-name')?.[0] ?? username,
      roles: flags.get('role') ?? [],
      must_change_password: flags.has('must-change') || password === undefined,
      ...(password === undefined ? {} : { password }),
    })
    surroundings.stdout(`User ${made.username} made.\n${oneTimePassword(made)}`)
    return 0
  },
}

const list: Command = {
  name: 'user list',
  summary: 'list the users',
  words: [],
  flags: { search: { doc: 'part of a name or full name', takes: 'TEXT' }, json },
  run: async (surroundings, { flags }): Promise<ExitCode> => {
    const [search] = flags.get('search') ?? []
    const users = await perform(surroundings, 'listUsers', search ? { search } : {})
    const rows = users.map((user) => [
      user.username,
      user.full_name,
      user.is_active ? 'active' : 'disabled',
      user.roles.join(','),
    ])
    surroundings.stdout(flags.has('json') ? jsonText(users) : table(['NAME', 'FULL NAME', 'STATE', 'ROLES'], rows))
    return 0
  },
}

const show: Command = {
  name: 'user show',
  summary: 'show a user',
  words: ['NAME'],
  flags: { json },
  run: async (surroundings, { words: [username = ''], flags }): Promise<ExitCode> => {
    const user = await perform(surroundings, 'showUser', { username })
    const rows = Object.entries(user).map(([name, value]) => [
      name,
      Array.isArray(value) ? value.join(',') : String(value),
    ])
    surroundings.stdout(
      flags.has('json') ? jsonText(user) : rows.map(([name = '', value]) => `${name.padEnd(22)}${value}\n`).join(''),
    )
    return 0
  },
}

const set: Command = {
  name: 'user set',
  summary: 'change a user; roles are set to the ones given',
  words: ['NAME'],
  flags: {
    'full-name': fullName,
    role,
    'no-roles': { doc: 'take all roles away' },
    active: { doc: 'enable' },
    inactive: { doc: 'disable, and end all sessions' },
  },
  run: (surroundings, given) => change(surroundings, settingsOf(given)),
}

const disable: Command = {
  name: 'user disable',
  summary: 'disable a user and end all sessions',
  words: ['NAME'],
  flags: {},
  run: (surroundings, { words: [username = ''] }) => change(surroundings, { username, is_active: false }),
}

const enable: Command = {
  name: 'user enable',
  summary: 'enable a user again',
  words: ['NAME'],
  flags: {},
  run: (surroundings, { words: [username = ''] }) => change(surroundings, { username, is_active: true }),
}

const password: Command = {
  name: 'user password',
  summary: 'set a password and end all sessions; it is asked for as with user add',
  words: ['NAME'],
  flags: {},
  run: async (surroundings, { words: [username = ''] }): Promise<ExitCode> => {
    const chosen = await readPassword(username, surroundings.stderr)
    const user = await perform(
      surroundings,
      'setPassword',
      chosen === undefined ? { username } : { username, password: chosen },
    )
    surroundings.stdout(`Password of ${user.username} set.\n${oneTimePassword(user)}`)
    return 0
  },
}

const remove: Command = {
  name: 'user remove',
  summary: 'delete a user with all sessions',
  words: ['NAME'],
  flags: {},
  run: async (surroundings, { words: [username = ''] }): Promise<ExitCode> => {
    await perform(surroundings, 'removeUser', { username })
    surroundings.stdout(`User ${username} removed.\n`)
    return 0
  },
}

export const userCommands: readonly Command[] = [add, list, show, set, password, disable, enable, remove]

async function change(surroundings: CommandEnvironment, settings: UserSettings): Promise<ExitCode> {
  const { username, is_active, roles } = await perform(surroundings, 'changeUser', settings)
  const state = is_active ? 'active' : 'disabled'
  surroundings.stdout(`User ${username}: ${state}, ${roles.length === 0 ? 'no roles' : `roles ${roles.join(', ')}`}.\n`)
  return 0
}

function settingsOf({ words: [username = ''], flags }: Arguments): UserSettings {
  const [fullNameGiven] = flags.get('full-name') ?? []
  const roles = flags.has('no-roles') ? [] : flags.get('role')
  if (flags.has('no-roles') && flags.has('role'))
    throw new AppError('usage', '--role and --no-roles contradict one another.')
  if (flags.has('active') && flags.has('inactive'))
    throw new AppError('usage', '--active and --inactive contradict one another.')
  if (flags.size === 0)
    throw new AppError('usage', 'Nothing to change: give --full-name, --role, --no-roles, --active or --inactive.')
  return {
    username,
    ...(fullNameGiven === undefined ? {} : { full_name: fullNameGiven }),
    ...(roles === undefined ? {} : { roles }),
    ...(flags.has('active') || flags.has('inactive') ? { is_active: flags.has('active') } : {}),
  }
}

function oneTimePassword({ one_time_password: text }: PresentedUser): string {
  return text === undefined ? '' : `One-time password, shown this once: ${text}\n`
}
