import type { AuditEvent } from '../audit/events.ts'
import type { PresentedEvent, PresentedParty } from '../audit/presentEvent.ts'

type FinerType = 'user.enabled' | 'user.disabled' | 'user.roles_changed'
type Phrase = (facts: PresentedEvent['facts']) => string

/** Returns what happened in plain words, for the history of a user. */
export function phraseOf({ type, facts, by, about }: Omit<PresentedEvent, 'index'>, userId: string): string {
  const phrase = Object.hasOwn(phrases, type) ? phrases[type as keyof typeof phrases](facts) : type
  const other = about && about.id !== userId ? ` (${nameOf(about)})` : ''
  const actor = by.id === userId || by.kind === 'anonymous' ? '' : ` by ${nameOf(by)}`
  return `${phrase}${other}${actor}${by.address === null ? '' : ` from ${by.address}`}`
}

const phrases: Readonly<Record<AuditEvent['event'] | FinerType, Phrase>> = {
  'login.succeeded': () => 'signed in',
  'login.failed': ({ reason }) => `sign-in failed (${words(reason)})`,
  'login.throttled': () => 'sign-in throttled',
  logout: ({ ended }) => (Number(ended) > 1 ? `signed out of ${sessions(ended)}` : 'signed out'),
  'session.replayed': () => 'session ended: an old refresh token or cookie was used',
  'session.ended': ({ by }) => (by === 'revocation' ? 'session ended: its token was revoked' : 'session ended'),
  'sessions.ended': ({ ended }) => `${sessions(ended)} ended`,
  'password.changed': ({ ended }) =>
    Number(ended) > 0 ? `password changed, which ended ${sessions(ended)}` : 'password changed',
  'password.change_failed': () => 'password change failed (wrong current password)',
  'password.change_throttled': () => 'password change throttled',
  'password.reset': () => 'password set',
  'password.rehashed': () => 'password rehashed',
  'user.created': ({ roles }) => `user created${withRoles(roles)}`,
  'user.changed': ({ fields }) => `user changed: ${list(fields)}`,
  'user.enabled': () => 'user enabled',
  'user.disabled': () => 'user disabled',
  'user.roles_changed': ({ roles }) => (list(roles) === '' ? 'roles removed' : `roles changed to ${list(roles)}`),
  'user.deleted': () => 'user deleted',
  'users.imported': ({ imported }) => `${count(imported, 'user')} imported`,
  'user.imported': ({ roles }) => `user imported${withRoles(roles)}`,
  'users.export_started': () => 'export of users started',
  'users.exported': ({ exported }) => `${count(exported, 'user')} exported`,
  'block.lifted': () => 'throttling lifted',
  'administrator.seeded': () => 'administrator created at the first start',
  'administrator.spared': () => 'change of an administrator refused',
  'administration.forbidden': () => 'administration refused: the role admin is missing',
  'token.refused': ({ reason }) => `access token refused (${words(reason)})`,
  'key.created': () => 'signing key created',
  'key.rotated': () => 'signing key rotated',
  'key.retired': () => 'signing key retired',
  'key.reset': () => 'signing keys reset',
  'secret_key.changed': () => 'SECRET_KEY changed',
  'api_key.created': ({ service }) => `API key created for ${words(service)}`,
  'api_key.revoked': ({ service }) => `API key of ${words(service)} revoked`,
  'api_key.refused': ({ reason }) => `API key refused (${words(reason)})`,
  'database.migrated': () => 'database migrated',
  'changes.repeated': ({ kind }) => `${repeatable[words(kind)] ?? 'change'} repeated after a failover`,
  'server.started': () => 'server started',
  'server.stopped': () => 'server stopped',
  'server.alive': () => 'server idle for an hour',
  'audit.exported': ({ format }) => `audit log exported as ${words(format)}`,
  'audit.erased': ({ erased }) => `names and addresses erased from ${count(erased, 'record')}`,
  'audit.pruned': ({ minimum_index }) => `audit log pruned below record ${minimum_index}`,
  'audit.baseline': ({ accounts }) =>
    `states of ${count(Array.isArray(accounts) ? accounts.length : 0, 'account')} recorded`,
  'audit.accepted': () => 'state of the account accepted as it is',
  'audit.restored': () => 'audit log accepted after a restore',
  'audit.verified': ({ result }) => `audit log verified: ${words(result)}`,
  'audit.missing': ({ n }) => `event ${n} disappeared`,
  'audit.rejected': ({ pending }) => `pending row ${pending} deleted`,
  'audit.lost': () => 'events accepted as lost',
  'audit.suppressed': ({ count: suppressed, type }) => `${count(suppressed, 'refusal')} not recorded (${words(type)})`,
}

const repeatable: Readonly<Record<string, string>> = {
  session: 'end of sessions',
  api_key: 'revocation of API keys',
  password: 'change of the password',
  disabling: 'disabling',
  roles: 'removal of roles',
  deletion: 'deletion',
}

function nameOf({ kind, id, username }: PresentedParty): string {
  if (username !== null) return username
  if (kind === 'command') return 'the command line'
  if (kind === 'system') return 'the server'
  return `${kind === 'api_key' ? 'API key' : 'a user'} ${id ?? ''}`.trim()
}

function words(value: unknown): string {
  return typeof value === 'string' ? value.replaceAll('_', ' ') : 'unknown'
}

function list(value: unknown): string {
  return Array.isArray(value) ? value.join(', ') : ''
}

function withRoles(roles: unknown): string {
  return list(roles) === '' ? '' : ` with the roles ${list(roles)}`
}

function sessions(value: unknown): string {
  return count(value, 'session')
}

function count(value: unknown, noun: string): string {
  return `${value} ${noun}${value === 1 ? '' : 's'}`
}
