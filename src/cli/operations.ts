import type { Deps } from '../domain/deps.ts'
import { listSessions, revokeSession } from '../domain/sessions.ts'
import {
  changeUser,
  createUser,
  deleteUser,
  endSessionsOf,
  listUsers,
  resetPassword,
  type UserDraft,
  type WithPassword,
} from '../domain/users.ts'
import { AppError } from '../error.ts'

/** A user as the command line shows it, and as JSON carries it between two processes. */
export interface ShownUser {
  readonly id: string
  readonly username: string
  readonly full_name: string
  readonly is_active: boolean
  readonly roles: readonly string[]
  readonly must_change_password: boolean
  readonly created_at: string
  readonly one_time_password?: string
}

export interface ShownSession {
  readonly id: string
  readonly created_at: string
  readonly last_used_at: string
  readonly expires_at: string
  readonly address: string | null
  readonly user_agent: string | null
}

export interface UserSettings {
  readonly username: string
  readonly full_name?: string
  readonly roles?: readonly string[]
  readonly is_active?: boolean
}

const actor = 'command line'
const pageSize = 500

/**
 * What the command line does to accounts, by the same domain functions as HTTP. Carried out in the process of the command,
 * or, while a server holds the embedded database, by that server (`control.ts`): inputs and answers are JSON.
 */
export const operations = {
  migrationStatus: (deps: Deps, _input: object) => deps.database.migrationStatus(),

  migrate: async (deps: Deps, _input: object): Promise<number> => (await deps.database.migrate()).applied,

  /** Asked of a server: it has prepared its database when it started. */
  seed: async (_deps: Deps, _input: object): Promise<boolean> => false,

  addUser: async (deps: Deps, draft: UserDraft): Promise<ShownUser> => shown(await createUser(deps, actor, draft)),

  listUsers: async (deps: Deps, { search }: { search?: string }): Promise<readonly ShownUser[]> => {
    const all: ShownUser[] = []
    for (let after: string | undefined, isFirst = true; isFirst || after !== undefined; isFirst = false) {
      const { users, next } = await listUsers(deps, { limit: pageSize, after, search })
      all.push(...users.map((user) => shown({ user, oneTimePassword: undefined })))
      after = next
    }
    return all
  },

  showUser: async (deps: Deps, { username }: { username: string }): Promise<ShownUser> =>
    shown({ user: await requireByName(deps, username), oneTimePassword: undefined }),

  changeUser: async (deps: Deps, { username, ...change }: UserSettings): Promise<ShownUser> => {
    const { id } = await requireByName(deps, username)
    return shown({ user: await changeUser(deps, actor, id, change), oneTimePassword: undefined })
  },

  setPassword: async (
    deps: Deps,
    { username, password }: { username: string; password?: string },
  ): Promise<ShownUser> => {
    const { id } = await requireByName(deps, username)
    const reset = password === undefined ? {} : { password, must_change_password: false }
    return shown(await resetPassword(deps, actor, id, reset))
  },

  removeUser: async (deps: Deps, { username }: { username: string }): Promise<null> => {
    await deleteUser(deps, actor, (await requireByName(deps, username)).id)
    return null
  },

  listSessions: async (deps: Deps, { username }: { username: string }): Promise<readonly ShownSession[]> => {
    const sessions = await listSessions(deps, (await requireByName(deps, username)).id)
    return sessions.map((session) => ({
      ...session,
      created_at: session.created_at.toISOString(),
      last_used_at: session.last_used_at.toISOString(),
      expires_at: session.expires_at.toISOString(),
    }))
  },

  revokeSessions: async (deps: Deps, { username }: { username: string }): Promise<number> =>
    endSessionsOf(deps, actor, (await requireByName(deps, username)).id),

  revokeSession: async (deps: Deps, { id }: { id: string }): Promise<null> => {
    if (!(await revokeSession(deps, id))) throw new AppError('not_found', 'There is no such living session.')
    return null
  },
} as const

export type OperationName = keyof typeof operations
export type OperationInput<Name extends OperationName> = Parameters<(typeof operations)[Name]>[1]
export type OperationOutput<Name extends OperationName> = Awaited<ReturnType<(typeof operations)[Name]>>

async function requireByName({ database }: Deps, username: string): Promise<WithPassword['user']> {
  const user = await database.users.findUserByUsername(username)
  if (!user) throw new AppError('not_found', `There is no user ${JSON.stringify(username)}.`)
  return user
}

function shown({ user, oneTimePassword }: WithPassword): ShownUser {
  const { id, username, full_name, is_active, roles, must_change_password, created_at } = user
  return {
    id,
    username,
    full_name,
    is_active,
    roles,
    must_change_password,
    created_at: created_at.toISOString(),
    ...(oneTimePassword === undefined ? {} : { one_time_password: oneTimePassword }),
  }
}
