import type { PresentedEvent } from '../../domain/audit/presentEvent.ts'
import { phraseOf } from '../../domain/history/phrases.ts'
import type { PresentedUser } from '../../domain/presentation.ts'
import { AppError } from '../../error.ts'
import { printable } from '../../telemetry/log.ts'
import type { Command, CommandEnvironment, CommandInput, ExitCode } from '../command.ts'
import type { UserSettings } from '../control/operations.ts'
import { perform } from '../control/perform.ts'
import { requireConfirmation, yes } from '../terminal/confirmation.ts'
import { readPassword } from '../terminal/passwordInput.ts'
import { jsonText, minutes, table } from '../terminal/table.ts'

const fullName = { value: 'TEXT', doc: 'Full name' } as const
const role = { value: 'ROLE', doc: 'A role', isRepeatable: true } as const
const json = { doc: 'Print JSON' } as const

const passwordSource =
  'You are prompted for the password, or it is the first line of standard input. If it is empty, a one-time password is generated and printed.'

const add: Command = {
  name: 'user add',
  summary: 'Create a user',
  details: passwordSource,
  arguments: ['NAME'],
  flags: {
    'full-name': { ...fullName, doc: 'Full name (default: the username)' },
    role,
    'must-change': { doc: 'Require a new password at the first sign-in' },
  },
  run: async (environment, { arguments: [username = ''], flags }): Promise<ExitCode> => {
    const password = await readPassword(username, environment)
    const created = await perform(environment, 'addUser', {
      username,
      full_name: flags.get('full-name')?.[0] ?? username,
      roles: flags.get('role') ?? [],
      must_change_password: flags.has('must-change') || password === undefined,
      ...(password === undefined ? {} : { password }),
    })
    environment.stdout(`User ${created.username} created.\n${oneTimePassword(created)}`)
    return 0
  },
}

const list: Command = {
  name: 'user list',
  summary: 'List users',
  arguments: [],
  flags: {
    search: { value: 'TEXT', doc: 'Only users whose username, or a word of whose name, starts with this' },
    json,
  },
  run: async (environment, { flags }): Promise<ExitCode> => {
    const [search] = flags.get('search') ?? []
    const users = await perform(environment, 'listUsers', search ? { search } : {})
    const rows = users.map((user) => [
      user.username,
      user.full_name,
      user.is_active ? 'active' : 'disabled',
      user.roles.join(','),
      user.last_sign_in_at === null ? 'never' : minutes(user.last_sign_in_at),
    ])
    const headings = ['NAME', 'FULL NAME', 'STATE', 'ROLES', 'LAST SIGN-IN (UTC)']
    environment.stdout(flags.has('json') ? jsonText(users) : table(headings, rows))
    return 0
  },
}

const show: Command = {
  name: 'user show',
  summary: 'Show a user and their latest events',
  arguments: ['NAME'],
  flags: { json },
  run: async (environment, { arguments: [username = ''], flags }): Promise<ExitCode> => {
    const shown = await perform(environment, 'showUser', { username })
    const { recent_events: events, ...user } = shown
    const rows = Object.entries(user).map(([name, value]) => [
      name,
      Array.isArray(value) ? value.join(',') : String(value),
    ])
    const text = rows.map(([name = '', value]) => `${name.padEnd(22)}${value}\n`).join('')
    environment.stdout(flags.has('json') ? jsonText(shown) : text + historyOf(events, user.id))
    return 0
  },
}

const set: Command = {
  name: 'user set',
  summary: 'Change a user',
  details: 'The roles on the command line replace the current roles.',
  arguments: ['NAME'],
  flags: {
    'full-name': fullName,
    role,
    'no-roles': { doc: 'Remove all roles' },
    active: { doc: 'Enable the user' },
    inactive: { doc: 'Disable the user and end all sessions' },
  },
  run: (environment, input) => change(environment, settingsOf(input)),
}

const disable: Command = {
  name: 'user disable',
  summary: 'Disable a user and end all of their sessions',
  arguments: ['NAME'],
  flags: {},
  run: (environment, { arguments: [username = ''] }) => change(environment, { username, is_active: false }),
}

const enable: Command = {
  name: 'user enable',
  summary: 'Enable a disabled user',
  arguments: ['NAME'],
  flags: {},
  run: (environment, { arguments: [username = ''] }) => change(environment, { username, is_active: true }),
}

const password: Command = {
  name: 'user password',
  summary: 'Set a password and end all sessions of the user',
  details: passwordSource,
  arguments: ['NAME'],
  flags: {},
  run: async (environment, { arguments: [username = ''] }): Promise<ExitCode> => {
    const chosen = await readPassword(username, environment)
    const user = await perform(
      environment,
      'setPassword',
      chosen === undefined ? { username } : { username, password: chosen },
    )
    environment.stdout(`Password set for ${user.username}.\n${oneTimePassword(user)}`)
    return 0
  },
}

const remove: Command = {
  name: 'user remove',
  summary: 'Delete a user and end all of their sessions',
  arguments: ['NAME'],
  flags: { yes },
  run: async (environment, { arguments: [username = ''], flags }): Promise<ExitCode> => {
    await requireConfirmation(`Delete user ${printable(username)} and end all of their sessions?`, flags)
    await perform(environment, 'removeUser', { username })
    environment.stdout(`User ${username} removed.\n`)
    return 0
  },
}

export const userCommands: readonly Command[] = [add, list, show, set, password, disable, enable, remove]

function historyOf(events: readonly PresentedEvent[], userId: string): string {
  if (events.length === 0) return ''
  const lines = events.map((event) => `${minutes(event.time)}  ${printable(phraseOf(event, userId))}\n`)
  return `\nRecent events (UTC):\n${lines.join('')}`
}

async function change(environment: CommandEnvironment, settings: UserSettings): Promise<ExitCode> {
  const { username, is_active, roles } = await perform(environment, 'changeUser', settings)
  const state = is_active ? 'active' : 'disabled'
  environment.stdout(`User ${username}: ${state}, ${roles.length === 0 ? 'no roles' : `roles ${roles.join(', ')}`}.\n`)
  return 0
}

function settingsOf({ arguments: [username = ''], flags }: CommandInput): UserSettings {
  const [newFullName] = flags.get('full-name') ?? []
  const roles = flags.has('no-roles') ? [] : flags.get('role')
  if (flags.has('no-roles') && flags.has('role'))
    throw new AppError('usage', '--role and --no-roles cannot be used together.')
  if (flags.has('active') && flags.has('inactive'))
    throw new AppError('usage', '--active and --inactive cannot be used together.')
  if (flags.size === 0)
    throw new AppError('usage', 'Nothing to change. Use --full-name, --role, --no-roles, --active or --inactive.')
  return {
    username,
    ...(newFullName === undefined ? {} : { full_name: newFullName }),
    ...(roles === undefined ? {} : { roles }),
    ...(flags.has('active') || flags.has('inactive') ? { is_active: flags.has('active') } : {}),
  }
}

function oneTimePassword({ one_time_password: text }: PresentedUser): string {
  return text === undefined ? '' : `One-time password (shown only once): ${text}\n`
}
