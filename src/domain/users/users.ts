import type { Unchanged, User, UserChange } from '../../db/statements/users.ts'
import { AppError, type FieldError } from '../../error.ts'
import type { Deps } from '../deps.ts'
import { record } from '../events.ts'
import { hashPassword } from '../passwords/hashPassword.ts'
import { requireNotAborted } from '../passwords/hashQueue.ts'
import { generateOneTimePassword } from '../passwords/oneTimePassword.ts'
import { requireAcceptablePassword } from '../passwords/policy.ts'
import { listSessions } from '../sessions/sessions.ts'

/** Who administers. */
export interface Actor {
  /** For the trail: a user's name, the command line, or a service and its key. */
  readonly name: string
  /** Without it, an actor cannot create or change administrators, and so cannot gain their rights. */
  readonly canManageAdministrators: boolean
}

export interface UserDraft {
  readonly username: string
  readonly full_name: string
  /** Undefined: a one-time one is made. */
  readonly password?: string
  readonly roles?: readonly string[]
  /** Undefined: true, as the password was set by another. */
  readonly must_change_password?: boolean
}

/** The one-time password is there in the answer that made it, and nowhere else. */
export interface WithPassword {
  readonly user: User
  readonly oneTimePassword: string | undefined
}

export interface UserList {
  readonly users: readonly User[]
  /** The name to list on from; undefined at the end. */
  readonly next: string | undefined
}

const username = /^[A-Za-z0-9._@+-]{1,50}$/
const role = /^[a-z0-9_-]{1,32}$/
export const mostRoles = 32

/**
 * Makes a user. Throws `invalid_fields` with every fault, `conflict` when the name is taken, `forbidden`; and makes none once
 * `signal` says that nobody waits for the answer any more.
 */
export async function createUser(deps: Deps, by: Actor, draft: UserDraft, signal?: AbortSignal): Promise<WithPassword> {
  requireGoodFields(draft)
  requireMayManageAdministrators(deps, by, draft.roles)
  const oneTimePassword = draft.password === undefined ? generateOneTimePassword() : undefined
  const password = await hashChosen(deps, draft.password, draft.username, oneTimePassword, signal)
  const user = await deps.database.users.insertUser({
    username: draft.username,
    full_name: draft.full_name,
    hashed_password: password,
    roles: unique(draft.roles ?? []),
    must_change_password: draft.must_change_password ?? true,
  })
  record(deps, { event: 'user.created', username: user.username, by: by.name, roles: user.roles })
  return { user, oneTimePassword }
}

/** One page of users in the order of their names. `after` is a `next` of the page before. */
export async function listUsers(
  { database }: Deps,
  { limit, after, search }: { limit: number; after: string | undefined; search: string | undefined },
): Promise<UserList> {
  const found = await database.users.listUsers({ limit: limit + 1, after, search })
  const users = found.slice(0, limit)
  return { users, next: found.length > limit ? users.at(-1)?.sort_key : undefined }
}

/** Throws `not_found`. */
export async function requireUser({ database }: Deps, id: string): Promise<User> {
  const user = await database.users.findUser(id)
  if (!user) throw noSuchUser()
  return user
}

/** Changes what is given. Throws `invalid_fields`, `not_found`, `forbidden`, and `conflict` for the last active administrator. */
export async function changeUser(deps: Deps, by: Actor, id: string, change: UserChange): Promise<User> {
  requireGoodFields(change)
  if (Object.keys(change).length === 0) throw new AppError('invalid_fields', 'Provide at least one field to change.')
  requireMayManageAdministrators(deps, by, change.roles)
  const roles = change.roles && unique(change.roles)
  const changed = roles ? { ...change, roles } : change
  const user = requireChanged(deps, by, await deps.database.users.updateUser(id, changed, !by.canManageAdministrators))
  record(deps, {
    event: 'user.changed',
    username: user.username,
    by: by.name,
    fields: Object.keys(change),
    roles: user.roles,
    is_active: user.is_active,
  })
  return user
}

/** Deletes a user with all sessions. Throws `not_found`, `forbidden`, and `conflict` for the last active administrator. */
export async function deleteUser(deps: Deps, by: Actor, id: string): Promise<void> {
  const user = requireChanged(deps, by, await deps.database.users.deleteUser(id, !by.canManageAdministrators))
  record(deps, { event: 'user.deleted', username: user.username, by: by.name })
}

export interface PasswordReset {
  /** Undefined: a one-time one is made. */
  readonly password?: string
  readonly must_change_password?: boolean
}

/** Sets somebody's password and ends all of that user's sessions. Throws `not_found`, `invalid_fields`, `forbidden`; `signal` as above. */
export async function resetPassword(
  deps: Deps,
  by: Actor,
  id: string,
  reset: PasswordReset = {},
  signal?: AbortSignal,
): Promise<WithPassword> {
  const user = await requireUserFor(deps, by, id)
  const oneTimePassword = reset.password === undefined ? generateOneTimePassword() : undefined
  const hash = await hashChosen(deps, reset.password, user.username, oneTimePassword, signal)
  const mustChange = reset.must_change_password ?? true
  const password = { hash, mustChange, sparesAdministrators: !by.canManageAdministrators }
  if ((await deps.database.users.updatePassword(id, password, new Date(deps.clock()))) === undefined) {
    await requireUser(deps, id)
    throw protectAdministrator(deps, by)
  }
  record(deps, { event: 'password.reset', username: user.username, by: by.name })
  return { user: { ...user, must_change_password: mustChange }, oneTimePassword }
}

/** A user's living sessions. Throws `not_found`. */
export async function listSessionsOf(deps: Deps, id: string) {
  await requireUser(deps, id)
  return listSessions(deps, id)
}

/** Ends all of a user's sessions. Throws `not_found`, `forbidden`. */
export async function endSessionsOf(deps: Deps, by: Actor, id: string): Promise<number> {
  const user = await requireUserFor(deps, by, id)
  const ended = await deps.database.sessions.endSessionsOf(id, new Date(deps.clock()), !by.canManageAdministrators)
  // There were none, or the user has become an administrator since.
  if (ended === 0) await requireUserFor(deps, by, id)
  record(deps, { event: 'sessions.ended', username: user.username, by: by.name, ended })
  return ended
}

/** The user, unless it is an administrator whom this actor spares. */
async function requireUserFor(deps: Deps, by: Actor, id: string): Promise<User> {
  const user = await requireUser(deps, id)
  requireMayManageAdministrators(deps, by, user.roles)
  return user
}

function requireMayManageAdministrators(deps: Deps, by: Actor, roles: readonly string[] = []): void {
  if (!by.canManageAdministrators && roles.includes('admin')) throw protectAdministrator(deps, by)
}

function requireChanged(deps: Deps, by: Actor, user: User | Unchanged | undefined): User {
  if (user === 'last_administrator')
    throw new AppError('conflict', 'This is the last active administrator. Create or activate another one first.')
  if (user === 'spared_administrator') throw protectAdministrator(deps, by)
  if (!user) throw noSuchUser()
  return user
}

async function hashChosen(
  deps: Deps,
  chosen: string | undefined,
  name: string,
  oneTime: string | undefined,
  signal: AbortSignal | undefined,
): Promise<string> {
  const { passwordMinLength, hashCost } = deps.settings
  if (chosen !== undefined)
    await requireAcceptablePassword({ password: chosen, username: name }, passwordMinLength, 'password')
  const hash = await deps.hashQueue.run(
    () => hashPassword(chosen ?? oneTime ?? generateOneTimePassword(), hashCost),
    signal,
  )
  requireNotAborted(signal)
  return hash
}

function requireGoodFields(given: Partial<Pick<UserDraft, 'username' | 'full_name' | 'roles'>>): void {
  const fields = [...validationErrorsOf(given)]
  const [first] = fields
  if (first) throw new AppError('invalid_fields', `The field ${first.field} ${first.message}.`, { fields })
}

/** Everything that is wrong with what is given; the rules are the same for HTTP, command line and import. */
export function* validationErrorsOf(
  given: Partial<Pick<UserDraft, 'username' | 'full_name' | 'roles'>>,
): Generator<FieldError> {
  if (given.username !== undefined && !username.test(given.username)) {
    yield { field: 'username', message: 'takes 1 to 50 of the characters A-Z a-z 0-9 . _ @ + -' }
  }
  if (given.full_name !== undefined && !isFullName(given.full_name)) {
    yield { field: 'full_name', message: 'takes 1 to 100 characters on one line' }
  }
  if (given.roles && (given.roles.length > mostRoles || !given.roles.every(isRole))) {
    yield {
      field: 'roles',
      message: `must have at most ${mostRoles} entries, each 1 to 32 of the characters a-z 0-9 _ -`,
    }
  }
}

function isFullName(text: string): boolean {
  // Joiners belong to names in some scripts; what turns a line around or ends it belongs to none.
  return [...text].length <= 100 && text.trim() !== '' && !/[\p{Cc}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069]/u.test(text)
}

function unique(roles: readonly string[]): readonly string[] {
  return [...new Set(roles)]
}

function noSuchUser(): AppError {
  return new AppError('not_found', 'User not found.')
}

function protectAdministrator(deps: Deps, by: Actor): AppError {
  record(deps, { event: 'administrator.spared', by: by.name })
  return new AppError('forbidden', 'API keys cannot create or change users with the role admin.')
}

/** What a role may be called. */
export function isRole(word: string): boolean {
  return role.test(word)
}
