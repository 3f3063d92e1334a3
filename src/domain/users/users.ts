import { uniqueViolation } from '../../db/rejection.ts'
import type { NewUser, UserChange } from '../../db/statements/userChanges.ts'
import type { ListedUser, User } from '../../db/statements/users.ts'
import { AppError } from '../../error.ts'
import { auditedAccounts } from '../accountStates/auditedAccounts.ts'
import { audited } from '../audit/audited.ts'
import { partyOf } from '../audit/record.ts'
import type { Deps } from '../deps.ts'
import { generateOneTimePassword } from '../passwords/oneTimePassword.ts'
import { listSessions } from '../sessions/sessions.ts'
import type { Actor } from './actor.ts'
import {
  accountAfter,
  changeOf,
  isChanged,
  requireChanged,
  requireMayManageAdministrators,
  userNotFound,
} from './changeResult.ts'
import { hashNewPassword } from './newPassword.ts'
import { requireValidFields } from './validation.ts'

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
  await requireMayManageAdministrators(deps, by, draft.roles)
  const oneTimePassword = draft.password === undefined ? generateOneTimePassword() : undefined
  const password = await hashNewPassword(deps, draft.password, draft.username, oneTimePassword, signal)
  const user = await insertUser(deps, by, {
    username: draft.username,
    full_name: draft.full_name,
    hashed_password: password,
    roles: unique(draft.roles ?? []),
    must_change_password: draft.must_change_password ?? true,
  })
  return { user, oneTimePassword }
}

async function insertUser(deps: Deps, by: Actor, draft: NewUser): Promise<User> {
  try {
    return await auditedAccounts(
      deps,
      ({ users }) => users.insertUser(draft),
      (user, stateOf) => [
        {
          event: { event: 'user.created', username: user.username, by: by.name, roles: user.roles },
          about: partyOf(user),
          state: stateOf({ is: { ...user, ...draft, is_active: true, username: user.username } }),
        },
      ],
    )
  } catch (error) {
    // An application may have unique constraints of its own.
    const mayBeTaken = error instanceof AppError && error.reason === uniqueViolation
    if (mayBeTaken && (await deps.database.users.isUsernameTaken(draft.username)))
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
 * Changes the given fields. Records those that had another value before. Throws `invalid_fields`,
 * `not_found`, `forbidden`, and `conflict` for the last active administrator.
 */
export async function changeUser(deps: Deps, by: Actor, id: string, change: UserChange): Promise<User> {
  requireValidFields(change)
  if (Object.keys(change).length === 0)
    throw new AppError('invalid_fields', 'Provide at least one of the fields full_name, roles and is_active.')
  await requireMayManageAdministrators(deps, by, change.roles)
  const roles = change.roles && unique(change.roles)
  const changed = roles ? { ...change, roles } : change
  const result = await auditedAccounts(
    deps,
    ({ users }) => users.updateUser(id, changed, !by.canManageAdministrators),
    (changes, stateOf) =>
      isChanged(changes) && changes.fields.length > 0
        ? [
            {
              ...changeOf(changes.user, by, changes.fields),
              state: stateOf({ was: changes.former, is: accountAfter(changes.former, changed) }),
            },
          ]
        : [],
  )
  return (await requireChanged(deps, by, result)).user
}

/**
 * Deletes a user and their sessions. Throws `not_found`, `forbidden`, and `conflict` for the last
 * active administrator.
 */
export async function deleteUser(deps: Deps, by: Actor, id: string): Promise<void> {
  const result = await auditedAccounts(
    deps,
    ({ users }) => users.deleteUser(id, !by.canManageAdministrators),
    (user, stateOf) =>
      isChanged(user)
        ? [
            {
              event: { event: 'user.deleted', username: user.username, by: by.name },
              about: partyOf(user),
              state: stateOf({ was: user }),
            },
          ]
        : [],
    'deletion',
  )
  await requireChanged(deps, by, result)
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
  const result = await auditedAccounts(
    deps,
    ({ users }) => users.updatePassword(id, password, new Date(deps.clock())),
    (changed, stateOf) =>
      isChanged(changed)
        ? [
            {
              event: { event: 'password.reset', username: user.username, by: by.name },
              about: partyOf(user),
              state: stateOf({
                was: changed.former,
                is: { ...changed.former, hashed_password: hash, must_change_password: mustChange },
              }),
            },
          ]
        : [],
  )
  await requireChanged(deps, by, result)
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
  const { username } = user
  const isSpared = ({ roles }: User) => !by.canManageAdministrators && roles.includes('admin')
  const { ended, isRefused } = await audited(
    deps,
    async ({ sessions, users }) => {
      const count = await sessions.endSessionsOf(id, new Date(deps.clock()), !by.canManageAdministrators)
      // The user had none, was deleted or has become an administrator.
      const current = count === 0 ? await users.findUser(id) : user
      return { ended: count, isRefused: !current || isSpared(current) }
    },
    (result) =>
      result.isRefused
        ? []
        : [{ event: { event: 'sessions.ended', username, by: by.name, ended: result.ended }, about: partyOf(user) }],
  )
  if (isRefused) await requireUserFor(deps, by, id)
  return ended
}

/**
 * Returns the user. Throws `forbidden` for an administrator if the actor cannot manage
 * administrators.
 */
async function requireUserFor(deps: Deps, by: Actor, id: string): Promise<User> {
  const user = await requireUser(deps, id)
  await requireMayManageAdministrators(deps, by, user.roles)
  return user
}

function unique(roles: readonly string[]): readonly string[] {
  return [...new Set(roles)]
}
