import { isInCalendar } from '../../calendar.ts'
import type { Revocation, StoredApiKey } from '../../db/statements/apiKeys.ts'
import { AppError, type FieldError } from '../../error.ts'
import { isUuid } from '../../uuid.ts'
import type { Deps } from '../deps.ts'
import { record } from '../events.ts'
import { validationErrorsOf } from '../users/users.ts'
import { digestOfApiKey, generateApiKey } from './apiKeyFormat.ts'

export type ApiKey = StoredApiKey

/** What a key can open here. What it opens at services that ask by /auth/verify, its roles say. */
export const scopes = ['introspect', 'users:read', 'users:write'] as const
export type Scope = (typeof scopes)[number]

export interface ApiKeyDraft {
  /** Of the service that the key is for. A service may have several keys at a time, so that one follows another. */
  readonly name: string
  readonly scopes?: readonly string[]
  readonly roles?: readonly string[]
  /** RFC 3339; null: never; undefined: in a year. */
  readonly expires_at?: string | null
  /** Another way to say it: whole days from now. */
  readonly days?: number
}

export interface ApiKeyList {
  readonly apiKeys: readonly ApiKey[]
  /** What the next page begins behind; undefined at the end. */
  readonly next: { readonly createdAt: Date; readonly id: string } | undefined
}

const dayMilliseconds = 86_400_000
const usualDays = 365

/**
 * Makes a key; its text is in this answer and nowhere else. It stays as it is made: there is no way to change or renew one.
 * Throws `invalid_fields` with every fault.
 */
export async function createApiKey(
  deps: Deps,
  by: string,
  draft: ApiKeyDraft,
): Promise<{ readonly apiKey: ApiKey; readonly text: string }> {
  const now = deps.clock()
  const expiresAt = requireGoodDraft(draft, now)
  const text = generateApiKey()
  const apiKey = await deps.database.apiKeys.insertApiKey({
    name: draft.name,
    digest: digestOfApiKey(text) as string,
    scopes: [...new Set(draft.scopes)],
    roles: [...new Set(draft.roles)],
    createdBy: by,
    now: new Date(now),
    expiresAt,
  })
  const { id, name, scopes, roles } = apiKey
  const expires_at = expiresAt?.toISOString() ?? null
  record(deps, { event: 'api_key.created', api_key: id, service: name, by, scopes, roles, expires_at })
  return { apiKey, text }
}

/** One page of keys, the latest first, those that have expired among them; with `all` those that were revoked, too. */
export async function listApiKeys(
  { database }: Deps,
  { limit, after, all }: { readonly limit: number; readonly after: ApiKeyList['next']; readonly all: boolean },
): Promise<ApiKeyList> {
  const found = await database.apiKeys.listApiKeys({ limit: limit + 1, after, all })
  const apiKeys = found.slice(0, limit)
  const last = apiKeys.at(-1)
  return { apiKeys, next: found.length > limit && last ? { createdAt: last.created_at, id: last.id } : undefined }
}

/** Ends a key: it opens nothing from the next request on. Throws `not_found`. */
export async function revokeApiKey(deps: Deps, by: string, id: string): Promise<void> {
  const revoked = await deps.database.apiKeys.revokeApiKey({ id }, revocationBy(deps, by))
  if (!revoked) throw new AppError('not_found', 'API key not found.')
  recordRevoked(deps, by, revoked)
}

/** Ends every key of a service; answers how many. Throws `not_found` where none was ever made for a service of that name. */
export async function revokeApiKeysOf(deps: Deps, by: string, name: string): Promise<number> {
  const revoked = await deps.database.apiKeys.revokeApiKeysOf(name, revocationBy(deps, by))
  if (!revoked) throw new AppError('not_found', 'No API key has this ID, and no service has this name.')
  for (const apiKey of revoked) recordRevoked(deps, by, apiKey)
  return revoked.length
}

/** Ends the key that somebody shows: whoever has found one may do that (RFC 7009). Nothing happens where it is none. */
export async function revokePresentedApiKey(deps: Deps, text: string): Promise<void> {
  const digest = digestOfApiKey(text)
  const revoked = digest && (await deps.database.apiKeys.revokeApiKey({ digest }, revocationBy(deps, holder)))
  if (revoked) recordRevoked(deps, holder, revoked)
}

/** No user is called so: no username has a space in it. */
const holder = 'its holder'

function revocationBy({ clock }: Deps, by: string): Revocation {
  return { now: new Date(clock()), by }
}

function recordRevoked(deps: Deps, by: string, { id, name }: ApiKey): void {
  record(deps, { event: 'api_key.revoked', api_key: id, service: name, by })
}

/** Answers when the key is to expire; null: never. */
function requireGoodDraft(draft: ApiKeyDraft, now: number): Date | null {
  const fields = [...validationErrorsOfDraft(draft, now)]
  const [first] = fields
  if (first) throw new AppError('invalid_fields', `The field ${first.field} ${first.message}.`, { fields })
  if (draft.expires_at === null) return null
  return new Date(draft.expires_at ?? now + (draft.days ?? usualDays) * dayMilliseconds)
}

const serviceName = /^[A-Za-z0-9][A-Za-z0-9._-]{0,49}$/
/** RFC 3339 §5.6. */
const moment = /^\d{4}-\d\d-\d\dT([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)$/

function* validationErrorsOfDraft({ name, scopes: wanted = [], roles = [], expires_at }: ApiKeyDraft, now: number) {
  const fault = (field: string, message: string): FieldError => ({ field, message })
  // Neither a flag nor the id of a key: the command line takes it where it takes these.
  if (!serviceName.test(name) || isUuid(name))
    yield fault(
      'name',
      'must be 1 to 50 of the characters A-Z a-z 0-9 . _ -, start with a letter or digit, and not be a UUID',
    )
  if (!wanted.every((scope) => (scopes as readonly string[]).includes(scope)))
    yield fault('scopes', `must contain only ${scopes.join(', ')}`)
  yield* validationErrorsOf({ roles })
  if (wanted.length + roles.length === 0) yield fault('scopes', 'must not be empty unless the key has roles')
  if (typeof expires_at === 'string' && !isToCome(expires_at, now))
    yield fault(
      'expires_at',
      'must be a time in the future, such as 2030-01-31T08:00:00Z, or null for a key that never expires',
    )
}

function isToCome(text: string, now: number): boolean {
  return moment.test(text) && isInCalendar(text) && Date.parse(text) > now
}
