import type { Account } from '../../db/audit/accounts.ts'
import type { Unchanged, UserChange } from '../../db/statements/userChanges.ts'
import type { User } from '../../db/statements/users.ts'
import { AppError } from '../../error.ts'
import { recordRefusal } from '../audit/audited.ts'
import { partyOf } from '../audit/record.ts'
import type { Deps } from '../deps.ts'
import type { Actor } from './actor.ts'

export async function requireMayManageAdministrators(
  deps: Deps,
  by: Actor,
  roles: readonly string[] = [],
): Promise<void> {
  if (!by.canManageAdministrators && roles.includes('admin')) throw await protectAdministrator(deps, by)
}

export function changeOf(user: User, by: Actor, fields: readonly string[]) {
  const { username, roles, is_active } = user
  return {
    event: { event: 'user.changed', username, by: by.name, fields, roles, is_active } as const,
    about: partyOf(user),
  }
}

/** Returns the account as the change asks for it. */
export function accountAfter(
  former: User,
  { roles = former.roles, is_active = former.is_active }: UserChange,
): Account {
  return { ...former, roles, is_active }
}

export function isChanged<Result>(
  result: Result | Unchanged | undefined,
): result is Exclude<Result, Unchanged | undefined> {
  return result !== undefined && result !== 'last_administrator' && result !== 'protected_administrator'
}

export async function requireChanged<Result>(
  deps: Deps,
  by: Actor,
  result: Result | Unchanged | undefined,
): Promise<Result> {
  if (result === 'last_administrator')
    throw new AppError('conflict', 'This is the last active administrator. Create or activate another one first.')
  if (result === 'protected_administrator') throw await protectAdministrator(deps, by)
  if (result === undefined) throw userNotFound()
  return result
}

export function userNotFound(): AppError {
  return new AppError('not_found', 'User not found.')
}

async function protectAdministrator(deps: Deps, by: Actor): Promise<AppError> {
  await recordRefusal(deps, { event: { event: 'administrator.spared', by: by.name } })
  return new AppError('forbidden', 'API keys cannot create or change users with the role admin.')
}
