import type { ApiKey } from './apiKeys/apiKeys.ts'
import type { ListedSession } from './sessions/sessions.ts'
import type { Lockout } from './signIn/lockouts.ts'
import type { WithPassword } from './users/users.ts'

// Users, sessions and keys as the API and the command line return them. Times are ISO 8601.

export interface PresentedUser {
  readonly id: string
  readonly username: string
  readonly full_name: string
  readonly is_active: boolean
  readonly roles: string[]
  readonly must_change_password: boolean
  readonly created_at: string
  /** Only in the response that creates it. */
  readonly one_time_password?: string
}

export interface PresentedSession {
  readonly id: string
  readonly created_at: string
  readonly last_used_at: string
  readonly expires_at: string
  readonly address: string | null
  readonly user_agent: string | null
  /** Only of a session by cookie. */
  readonly kind?: 'browser'
  /** Only of a session by cookie: whether the cookie outlives the browser. */
  readonly stay?: boolean
}

export function presentUser(user: WithPassword['user'], oneTimePassword?: string): PresentedUser {
  const { id, username, full_name, is_active, roles, must_change_password, created_at } = user
  const presented = {
    id,
    username,
    full_name,
    is_active,
    roles,
    must_change_password,
    created_at: created_at.toISOString(),
  }
  return oneTimePassword === undefined ? presented : { ...presented, one_time_password: oneTimePassword }
}

export function presentSession(session: ListedSession): PresentedSession {
  return {
    id: session.id,
    created_at: session.created_at.toISOString(),
    last_used_at: session.last_used_at.toISOString(),
    expires_at: session.expires_at.toISOString(),
    address: session.address,
    user_agent: session.user_agent,
    ...(session.kind === 'browser' ? { kind: session.kind, stay: session.is_persistent } : {}),
  }
}

export interface PresentedLockout {
  readonly id: string
  readonly kind: Lockout['kind']
  readonly username: string | null
  readonly network: string | null
  readonly failures: number
  readonly last_failed_at: string
  readonly blocked_until: string
}

export function presentLockout({ id, kind, username, network, failures, ...times }: Lockout): PresentedLockout {
  return {
    id,
    kind,
    username,
    network,
    failures,
    last_failed_at: times.last_failed_at.toISOString(),
    blocked_until: times.blocked_until.toISOString(),
  }
}

export interface PresentedApiKey {
  readonly id: string
  readonly name: string
  readonly service_id: string
  readonly scopes: string[]
  readonly roles: string[]
  readonly created_by: string
  readonly created_at: string
  readonly expires_at: string | null
  readonly last_used_at: string | null
  readonly revoked_at: string | null
  readonly revoked_by: string | null
  /** Only in the response that creates it. */
  readonly key?: string
}

export function presentApiKey({ id, name, service_id, created_by, ...rest }: ApiKey, text?: string): PresentedApiKey {
  const presented = {
    id,
    name,
    service_id,
    scopes: [...rest.scopes],
    roles: [...rest.roles],
    created_by,
    created_at: rest.created_at.toISOString(),
    expires_at: rest.expires_at?.toISOString() ?? null,
    last_used_at: rest.last_used_at?.toISOString() ?? null,
    revoked_at: rest.revoked_at?.toISOString() ?? null,
    revoked_by: rest.revoked_by,
  }
  return text === undefined ? presented : { ...presented, key: text }
}
