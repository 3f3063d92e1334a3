import {
  type ApiKeyDraft,
  type ApiKeyList,
  createApiKey,
  listApiKeys,
  revokeApiKey,
  revokeApiKeysOf,
} from '../../domain/apiKeys/apiKeys.ts'
import { rejectPending } from '../../domain/audit/rejected.ts'
import type { Deps } from '../../domain/deps.ts'
import { findRecentEvents, type RecentEvents } from '../../domain/history/recentEvents.ts'
import { listKeys } from '../../domain/keys/keyList.ts'
import { type AddedKey, resetKeys, rotateKey } from '../../domain/keys/signingKeys.ts'
import {
  type PresentedApiKey,
  type PresentedLockout,
  type PresentedSession,
  type PresentedUser,
  presentApiKey,
  presentLockout,
  presentSession,
  presentUser,
} from '../../domain/presentation.ts'
import { listSessions, revokeSession } from '../../domain/sessions/sessions.ts'
import {
  type LockoutList,
  liftLockout,
  liftLockoutsOfNetwork,
  liftLockoutsOfUser,
  listLockouts,
} from '../../domain/signIn/lockouts.ts'
import type { Actor } from '../../domain/users/actor.ts'
import {
  changeUser,
  createUser,
  deleteUser,
  endSessionsOf,
  listUsers,
  resetPassword,
  type UserDraft,
  type UserList,
  type WithPassword,
} from '../../domain/users/users.ts'
import { AppError } from '../../error.ts'
import { actor, auditOperations } from './auditOperations.ts'

export interface UserSettings {
  readonly username: string
  readonly full_name?: string
  readonly roles?: readonly string[]
  readonly is_active?: boolean
}

/** A user with the time of the last sign-in, in ISO 8601; null if there was none. */
export type UserRow = PresentedUser & { readonly last_sign_in_at: string | null }

const administrator: Actor = { name: actor, canManageAdministrators: true }
const pageSize = 500

/** Returns dependencies that record the command line as the source of events. */
export function asCommand(deps: Deps): Deps {
  return { ...deps, source: { by: { kind: 'command' } } }
}

/**
 * The command line's operations on accounts and keys, with the same domain functions as HTTP. Runs
 * in the process of the command, or in the server that has the embedded database open
 * (`control.ts`). Inputs and outputs are JSON.
 */
export const operations = {
  ping: async (_deps: Deps, _input: object): Promise<true> => true,

  migrationStatus: (deps: Deps, _input: object) => deps.database.migrationStatus(),

  migrate: async (deps: Deps, _input: object): Promise<number> => (await deps.database.migrate()).applied,

  /** A server seeds its database when it starts. */
  seed: async (_deps: Deps, _input: object): Promise<boolean> => false,

  addUser: async (deps: Deps, draft: UserDraft): Promise<PresentedUser> =>
    presentWithPassword(await createUser(deps, administrator, draft)),

  listUsers: async (deps: Deps, { search }: { search?: string }): Promise<readonly UserRow[]> => {
    const all: UserRow[] = []
    for (let after: string | undefined, isFirst = true; isFirst || after !== undefined; isFirst = false) {
      const { users, next } = await listUsers(deps, { limit: pageSize, after, search })
      all.push(...users.map(presentRow))
      after = next
    }
    return all
  },

  showUser: async (deps: Deps, { username }: { username: string }): Promise<PresentedUser & RecentEvents> => {
    const user = await requireByName(deps, username)
    return { ...presentUser(user), ...(await findRecentEvents(deps, user.id)) }
  },

  changeUser: async (deps: Deps, { username, ...change }: UserSettings): Promise<PresentedUser> => {
    const { id } = await requireByName(deps, username)
    return presentUser(await changeUser(deps, administrator, id, change))
  },

  setPassword: async (
    deps: Deps,
    { username, password }: { username: string; password?: string },
  ): Promise<PresentedUser> => {
    const { id } = await requireByName(deps, username)
    const reset = password === undefined ? {} : { password, must_change_password: false }
    return presentWithPassword(await resetPassword(deps, administrator, id, reset))
  },

  removeUser: async (deps: Deps, { username }: { username: string }): Promise<null> => {
    await deleteUser(deps, administrator, (await requireByName(deps, username)).id)
    return null
  },

  listSessions: async (deps: Deps, { username }: { username: string }): Promise<readonly PresentedSession[]> => {
    const sessions = await listSessions(deps, (await requireByName(deps, username)).id)
    return sessions.map(presentSession)
  },

  revokeSessions: async (deps: Deps, { username }: { username: string }): Promise<number> =>
    endSessionsOf(deps, administrator, (await requireByName(deps, username)).id),

  listKeys,

  rotateKey: (deps: Deps, _input: object): Promise<AddedKey> => rotateKey(deps, actor),

  resetKeys: (deps: Deps, _input: object): Promise<number | null> => resetKeys(deps, actor),

  revokeSession: async (deps: Deps, { id }: { id: string }): Promise<null> => {
    if (!(await revokeSession(deps, id))) throw new AppError('not_found', 'There is no such active session.')
    return null
  },

  createApiKey: async (deps: Deps, draft: ApiKeyDraft): Promise<PresentedApiKey> => {
    const { apiKey, text } = await createApiKey(deps, actor, draft)
    return presentApiKey(apiKey, text)
  },

  listApiKeys: async (deps: Deps, { all }: { all: boolean }): Promise<readonly PresentedApiKey[]> => {
    const listed: PresentedApiKey[] = []
    let after: ApiKeyList['next']
    do {
      const page = await listApiKeys(deps, { limit: pageSize, after, all })
      listed.push(...page.apiKeys.map((apiKey) => presentApiKey(apiKey)))
      after = page.next
    } while (after)
    return listed
  },

  revokeApiKey: async (deps: Deps, { id }: { id: string }): Promise<number> => {
    await revokeApiKey(deps, actor, id)
    return 1
  },

  revokeApiKeys: (deps: Deps, { name }: { name: string }): Promise<number> => revokeApiKeysOf(deps, actor, name),

  listBlocks: async (deps: Deps, _input: object): Promise<readonly PresentedLockout[]> => {
    const all: PresentedLockout[] = []
    let after: LockoutList['next']
    do {
      const page = await listLockouts(deps, { limit: pageSize, after })
      all.push(...page.lockouts.map(presentLockout))
      after = page.next
    } while (after)
    return all
  },

  liftBlock: async (deps: Deps, { id }: { id: string }): Promise<number> => {
    await liftLockout(deps, actor, id)
    return 1
  },

  /** A target that is not a username is a network. */
  liftBlocks: async (deps: Deps, { target }: { target: string }): Promise<number> => {
    const user = await deps.database.users.findUserByUsername(target)
    return user ? liftLockoutsOfUser(deps, actor, user.id) : liftLockoutsOfNetwork(deps, actor, target)
  },

  rejectPending: async (deps: Deps, { id }: { id: string }): Promise<null> => {
    await rejectPending(deps, actor, id)
    return null
  },

  ...auditOperations,
} as const

/** Operations that change nothing, and so need no SECRET_KEY. */
export const readOnlyOperations: readonly OperationName[] = [
  'listUsers',
  'showUser',
  'listSessions',
  'listKeys',
  'listApiKeys',
  'listBlocks',
]

export type OperationName = keyof typeof operations
export type OperationInput<Name extends OperationName> = Parameters<(typeof operations)[Name]>[1]
export type OperationOutput<Name extends OperationName> = Awaited<ReturnType<(typeof operations)[Name]>>

async function requireByName({ database }: Deps, username: string): Promise<WithPassword['user']> {
  const user = await database.users.findUserByUsername(username)
  if (!user) throw new AppError('not_found', `There is no user ${JSON.stringify(username)}.`)
  return user
}

function presentWithPassword({ user, oneTimePassword }: WithPassword): PresentedUser {
  return presentUser(user, oneTimePassword)
}

function presentRow(user: UserList['users'][number]): UserRow {
  return { ...presentUser(user), last_sign_in_at: user.last_sign_in_at?.toISOString() ?? null }
}
