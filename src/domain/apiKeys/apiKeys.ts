import { isTime } from '../../calendar.ts'
import type { Revocation, StoredApiKey } from '../../db/statements/apiKeys.ts'
import { AppError, type FieldError, sentencesOf } from '../../error.ts'
import { isUuid } from '../../uuid.ts'
import { audited } from '../audit/audited.ts'
import type { AuditRecord } from '../audit/record.ts'
import type { Deps } from '../deps.ts'
import { validationErrorsOf } from '../users/validation.ts'
import { digestOfApiKey, generateApiKey } from './apiKeyFormat.ts'
import { serviceParty } from './serviceSubject.ts'

export type ApiKey = StoredApiKey

/**
 * The access of a key to AuditTrail's own API. Services that use /auth/verify check its roles
 * instead.
 */
export const scopes = ['introspect', 'users:read', 'users:write', 'audit:read'] as const
export type Scope = (typeof scopes)[number]

export interface ApiKeyDraft {
  /**
   * Name of the service. A service may have several keys, so that a new one can replace an old one.
   */
  readonly name: string
  readonly scopes?: readonly string[]
  readonly roles?: readonly string[]
  /** RFC 3339; null: never; undefined: after `days`. */
  readonly expires_at?: string | null
  /** Whole days from now, if `expires_at` is undefined; by default a year. */
  readonly days?: number
}

export interface ApiKeyList {
  readonly apiKeys: readonly ApiKey[]
  /** Cursor of the next page; undefined on the last page. */
  readonly next: { readonly createdAt: Date; readonly id: string } | undefined
}

const dayMilliseconds = 86_400_000
const defaultDays = 365

/**
 * Creates a key and returns it with its text, which is not stored. A key cannot be changed or
 * renewed. Throws `invalid_fields` with every invalid field.
 */
export async function createApiKey(
  deps: Deps,
  by: string,
  draft: ApiKeyDraft,
): Promise<{ readonly apiKey: ApiKey; readonly text: string }> {
  const now = deps.clock()
  const expiresAt = requireExpiry(draft, now)
  const text = generateApiKey()
  const made = {
    name: draft.name,
    digest: digestOfApiKey(text) as string,
    scopes: [...new Set(draft.scopes)],
    roles: [...new Set(draft.roles)],
    createdBy: by,
    now: new Date(now),
    expiresAt,
  }
  const expires_at = expiresAt?.toISOString() ?? null
  const apiKey = await audited(
    deps,
    (statements) => statements.apiKeys.insertApiKey(made),
    ({ id, name: service, scopes, roles }) => [
      {
        event: { event: 'api_key.created', api_key: id, service, by, scopes, roles, expires_at },
        about: serviceParty({ id, name: service }),
      },
    ],
  )
  return { apiKey, text }
}

/** Returns one page of keys, newest first, including expired ones and, with `all`, revoked ones. */
export async function listApiKeys(
  { database }: Deps,
  { limit, after, all }: { readonly limit: number; readonly after: ApiKeyList['next']; readonly all: boolean },
): Promise<ApiKeyList> {
  const found = await database.apiKeys.listApiKeys({ limit: limit + 1, after, all })
  const apiKeys = found.slice(0, limit)
  const last = apiKeys.at(-1)
  return { apiKeys, next: found.length > limit && last ? { createdAt: last.created_at, id: last.id } : undefined }
}

/** Revokes a key, effective on the next request. Throws `not_found` if there is no such key. */
export async function revokeApiKey(deps: Deps, by: string, id: string): Promise<void> {
  const revoked = await revoke(deps, by, { id })
  if (!revoked) throw new AppError('not_found', 'API key not found.')
}

/**
 * Revokes every key of a service; returns how many. Throws `not_found` if no key was ever created
 * for that name.
 */
export async function revokeApiKeysOf(deps: Deps, by: string, name: string): Promise<number> {
  const revoked = await audited(
    deps,
    (statements) => statements.apiKeys.revokeApiKeysOf(name, revocationBy(deps, by)),
    (keys = []) => keys.map((apiKey) => revocationOf(by, apiKey)),
  )
  if (!revoked) throw new AppError('not_found', 'No API key has this ID, and no service has this name.')
  return revoked.length
}

/**
 * Revokes the presented key (RFC 7009): anyone who finds a leaked key can do it. Ignores an invalid
 * one.
 */
export async function revokePresentedApiKey(deps: Deps, text: string): Promise<void> {
  const digest = digestOfApiKey(text)
  if (digest) await revoke(deps, holder, { digest })
}

/** Cannot be a username: those contain no spaces. */
const holder = 'its holder'

function revocationBy({ clock }: Deps, by: string): Revocation {
  return { now: new Date(clock()), by }
}

function revoke(
  deps: Deps,
  by: string,
  which: { readonly id: string } | { readonly digest: string },
): Promise<ApiKey | undefined> {
  return audited(
    deps,
    (statements) => statements.apiKeys.revokeApiKey(which, revocationBy(deps, by)),
    (apiKey) => (apiKey ? [revocationOf(by, apiKey)] : []),
  )
}

function revocationOf(by: string, { id, name: service }: ApiKey): AuditRecord {
  return { event: { event: 'api_key.revoked', api_key: id, service, by }, about: serviceParty({ id, name: service }) }
}

/**
 * Returns when the new key expires; null: never. Throws `invalid_fields` with every invalid field.
 */
function requireExpiry(draft: ApiKeyDraft, now: number): Date | null {
  const fields = [...validationErrorsOfDraft(draft, now)]
  if (fields.length > 0) throw new AppError('invalid_fields', sentencesOf(fields), { fields })
  if (draft.expires_at === null) return null
  return new Date(draft.expires_at ?? now + (draft.days ?? defaultDays) * dayMilliseconds)
}

export const serviceNamePattern = '^[A-Za-z0-9][A-Za-z0-9._-]{0,49}$'
const serviceName = new RegExp(serviceNamePattern)

function* validationErrorsOfDraft({ name, scopes: requested = [], roles = [], expires_at }: ApiKeyDraft, now: number) {
  const error = (field: string, message: string): FieldError => ({ field, message })
  // On the command line a name can replace a key's ID, so it must not look like an ID or a flag.
  if (!serviceName.test(name) || isUuid(name))
    yield error(
      'name',
      'must be 1 to 50 of the characters A-Z a-z 0-9 . _ -, start with a letter or digit, and not be a UUID',
    )
  if (!requested.every((scope) => (scopes as readonly string[]).includes(scope)))
    yield error('scopes', `must contain only ${scopes.join(', ')}`)
  yield* validationErrorsOf({ roles })
  if (requested.length + roles.length === 0) yield error('scopes', 'must not be empty unless the key has roles')
  if (typeof expires_at === 'string' && !isInFuture(expires_at, now))
    yield error(
      'expires_at',
      'must be a time in the future, such as 2030-01-31T08:00:00Z, or null for a key that never expires',
    )
}

function isInFuture(text: string, now: number): boolean {
  return isTime(text) && Date.parse(text) > now
}
