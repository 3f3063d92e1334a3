import { uniqueViolation } from '../../db/rejection.ts'
import type { NewUser, Unchanged, UserChange } from '../../db/statements/userChanges.ts'
import type { ListedUser, User } from '../../db/statements/users.ts'
import { AppError, type FieldError, sentencesOf } from '../../error.ts'
import { areRoles, fullNameRule, isFullName, isUsername, rolesRule, usernameRule } from '../../userFields.ts'
import { record } from '../audit/events.ts'
import type { Deps } from '../deps.ts'
import { hashPassword } from '../passwords/hashPassword.ts'
import { requireNotAborted } from '../passwords/hashQueue.ts'
import { generateOneTimePassword } from '../passwords/oneTimePassword.ts'
import { requireAcceptablePassword } from '../passwords/policy.ts'
import { listSessions } from '../sessions/sessions.ts'

/** The user, service or command line that administers users. */
export interface Actor {
  /** For the log: a username, the command line, or a service and its key. */
  readonly name: string
  /**
   * Without it, an actor cannot create or change administrators, and so cannot gain their rights.
   */
  readonly canManageAdministrators: boolean
}

export interface UserDraft {
  readonly username: string
  readonly full_name: string
  /** Undefined: generate a one-time password. */
  readonly password?: string
  readonly roles?: readonly string[]
  /** Undefined: true, because another person set the password. */
  readonly must_change_password?: boolean
}

/** The one-time password is only in the response that creates it. */
export interface WithPassword {
  readonly user: User
  readonly oneTimePassword: string | undefined
}

export interface UserList {
  readonly users: readonly ListedUser[]
  /** The username where the next page starts. Undefined on the last page. */
  readonly next: string | undefined
}

/**
 * Creates a user. Throws `invalid_fields` with every invalid field, `conflict` if the username is
 * taken, and `forbidden`. Creates none once `signal` aborts because the client disconnected.
 */
export async function createUser(deps: Deps, by: Actor, draft: UserDraft, signal?: AbortSignal): Promise<WithPassword> {
  requireValidFields(draft)
  requireMayManageAdministrators(deps, by, draft.roles)
  const oneTimePassword = draft.password === undefined ? generateOneTimePassword() : undefined
  const password = await hashNewPassword(deps, draft.password, draft.username, oneTimePassword, signal)
  const user = await insertUser(deps, {
    username: draft.username,
    full_name: draft.full_name,
    hashed_password: password,
    roles: unique(draft.roles ?? []),
    must_change_password: draft.must_change_password ?? true,
  })
  record(deps, { event: 'user.created', username: user.username, by: by.name, roles: user.roles })
  return { user, oneTimePassword }
}

async function insertUser({ database }: Deps, user: NewUser): Promise<User> {
  try {
    return await database.users.insertUser(user)
  } catch (error) {
    // An application may have unique constraints of its own.
    const mayBeTaken = error instanceof AppError && error.reason === uniqueViolation
    if (mayBeTaken && (await database.users.isUsernameTaken(user.username)))
      throw new AppError('conflict', 'This username is taken.')
    throw error
  }
}

/** Lists one page of users, ordered by username. `after` is the `next` of the previous page. */
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
  if (!user) throw userNotFound()
  return user
}

/**
 * Changes the given fields. Throws `invalid_fields`, `not_found`, `forbidden`, and `conflict` for
 * the last active administrator.
 */
export async function changeUser(deps: Deps, by: Actor, id: string, change: UserChange): Promise<User> {
  requireValidFields(change)
  if (Object.keys(change).length === 0)
    throw new AppError('invalid_fields', 'Provide at least one of the fields full_name, roles and is_active.')
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

/**
 * Deletes a user and their sessions. Throws `not_found`, `forbidden`, and `conflict` for the last
 * active administrator.
 */
export async function deleteUser(deps: Deps, by: Actor, id: string): Promise<void> {
  const user = requireChanged(deps, by, await deps.database.users.deleteUser(id, !by.canManageAdministrators))
  record(deps, { event: 'user.deleted', username: user.username, by: by.name })
}

export interface PasswordReset {
  /** Undefined: generate a one-time password. */
  readonly password?: string
  readonly must_change_password?: boolean
}

/**
 * Sets a user's password and ends their sessions. Throws `not_found`, `invalid_fields`,
 * `forbidden`. Changes nothing once `signal` aborts.
 */
export async function resetPassword(
  deps: Deps,
  by: Actor,
  id: string,
  reset: PasswordReset = {},
  signal?: AbortSignal,
): Promise<WithPassword> {
  const user = await requireUserFor(deps, by, id)
  const oneTimePassword = reset.password === undefined ? generateOneTimePassword() : undefined
  const hash = await hashNewPassword(deps, reset.password, user.username, oneTimePassword, signal)
  const mustChange = reset.must_change_password ?? true
  const password = { hash, mustChange, protectsAdministrators: !by.canManageAdministrators }
  requireChanged(deps, by, await deps.database.users.updatePassword(id, password, new Date(deps.clock())))
  record(deps, { event: 'password.reset', username: user.username, by: by.name })
  return { user: { ...user, must_change_password: mustChange }, oneTimePassword }
}

/** Lists a user's active sessions. Throws `not_found`. */
export async function listSessionsOf(deps: Deps, id: string) {
  await requireUser(deps, id)
  return listSessions(deps, id)
}

/** Ends all of a user's sessions. Throws `not_found`, `forbidden`. */
export async function endSessionsOf(deps: Deps, by: Actor, id: string): Promise<number> {
  const user = await requireUserFor(deps, by, id)
  const ended = await deps.database.sessions.endSessionsOf(id, new Date(deps.clock()), !by.canManageAdministrators)
  // The user had none, or has become an administrator.
  if (ended === 0) await requireUserFor(deps, by, id)
  record(deps, { event: 'sessions.ended', username: user.username, by: by.name, ended })
  return ended
}

/**
 * Returns the user. Throws `forbidden` for an administrator if the actor cannot manage
 * administrators.
 */
async function requireUserFor(deps: Deps, by: Actor, id: string): Promise<User> {
  const user = await requireUser(deps, id)
  requireMayManageAdministrators(deps, by, user.roles)
  return user
}

function requireMayManageAdministrators(deps: Deps, by: Actor, roles: readonly string[] = []): void {
  if (!by.canManageAdministrators && roles.includes('admin')) throw protectAdministrator(deps, by)
}

function requireChanged<Result>(deps: Deps, by: Actor, result: Result | Unchanged | undefined): Result {
  if (result === 'last_administrator')
    throw new AppError('conflict', 'This is the last active administrator. Create or activate another one first.')
  if (result === 'protected_administrator') throw protectAdministrator(deps, by)
  if (result === undefined) throw userNotFound()
  return result
}

async function hashNewPassword(
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

function requireValidFields(draft: Partial<Pick<UserDraft, 'username' | 'full_name' | 'roles'>>): void {
  const fields = [...validationErrorsOf(draft)]
  if (fields.length > 0) throw new AppError('invalid_fields', sentencesOf(fields), { fields })
}

/** Yields every invalid field. The rules are the same for HTTP, command line and import. */
export function* validationErrorsOf(
  draft: Partial<Pick<UserDraft, 'username' | 'full_name' | 'roles'>>,
): Generator<FieldError> {
  if (draft.username !== undefined && !isUsername(draft.username)) {
    yield { field: 'username', message: usernameRule }
  }
  if (draft.full_name !== undefined && !isFullName(draft.full_name)) {
    yield { field: 'full_name', message: fullNameRule }
  }
  if (draft.roles && !areRoles(draft.roles)) {
    yield { field: 'roles', message: rolesRule }
  }
}

function unique(roles: readonly string[]): readonly string[] {
  return [...new Set(roles)]
}

function userNotFound(): AppError {
  return new AppError('not_found', 'User not found.')
}

function protectAdministrator(deps: Deps, by: Actor): AppError {
  record(deps, { event: 'administrator.spared', by: by.name })
  return new AppError('forbidden', 'API keys cannot create or change users with the role admin.')
}
