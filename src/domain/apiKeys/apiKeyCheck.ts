import { AppError } from '../../error.ts'
import type { ApiKeyOutcome } from '../../telemetry/productMetrics.ts'
import { recordRefusal } from '../audit/audited.ts'
import type { Source } from '../audit/record.ts'
import type { Deps } from '../deps.ts'
import type { Actor } from '../users/actor.ts'
import { digestOfApiKey } from './apiKeyFormat.ts'
import type { ApiKey, Scope } from './apiKeys.ts'
import { createLastUseRecorder } from './lastUse.ts'
import { serviceParty, subjectOf } from './serviceSubject.ts'

/** The access that a request requires of a key: a scope, or any role (/auth/verify). */
export type RequiredAccess = Scope | 'roles'

/**
 * Checks the API keys that requests present. One per process, because it remembers which keys were
 * used recently.
 */
export interface ApiKeyCheck {
  /** Returns the key with this text; undefined if it is unknown, expired or revoked. */
  find(text: string): Promise<ApiKey | undefined>
  /**
   * Returns the key with this text. Throws `invalid_token` if `find` returns none, and `forbidden`
   * if the key does not grant the required access. Records both.
   */
  require(text: string, required: RequiredAccess, source: Source): Promise<ApiKey>
  /**
   * For endpoints that accept no key: throws `invalid_token`, whether or not the key is valid, and
   * records it.
   */
  reject(text: string, source: Source): Promise<never>
}

type Lookup = { readonly apiKey: ApiKey } | InvalidKey
type InvalidKey =
  | { readonly reason: 'malformed' | 'unknown' }
  | { readonly reason: 'revoked' | 'expired'; readonly formerKey: ApiKey }

export function createApiKeyCheck(deps: Deps): ApiKeyCheck {
  const { metrics } = deps
  const recordUse = createLastUseRecorder(deps)

  return {
    find: async (text) => {
      const lookup = await findKey(deps, text)
      if (!('apiKey' in lookup)) return undefined
      recordUse(lookup.apiKey)
      return lookup.apiKey
    },

    require: async (text, required, source) => {
      const lookup = await findKey(deps, text)
      if (!('apiKey' in lookup)) {
        await recordInvalid(deps, lookup, source)
        throw new AppError('invalid_token', 'Could not validate credentials')
      }
      const { apiKey } = lookup
      recordUse(apiKey)
      if (!grants(apiKey, required)) {
        await recordRejection(deps, 'scope', apiKey, source)
        throw new AppError('forbidden', missingAccess[required])
      }
      metrics.apiKey('accepted')
      return apiKey
    },

    reject: async (text, source) => {
      const lookup = await findKey(deps, text)
      if ('apiKey' in lookup) {
        recordUse(lookup.apiKey)
        await recordRejection(deps, 'scope', lookup.apiKey, source)
      } else await recordInvalid(deps, lookup, source)
      throw new AppError('invalid_token', 'This endpoint requires a signed-in user; API keys are not accepted.')
    },
  }
}

const missingAccess: Readonly<Record<RequiredAccess, string>> = {
  introspect: 'This endpoint requires an API key with the scope introspect.',
  'users:read': 'This endpoint requires an API key with the scope users:read.',
  'users:write': 'This endpoint requires an API key with the scope users:write.',
  'audit:read': 'This endpoint requires an API key with the scope audit:read.',
  roles: 'This endpoint requires an API key with at least one role.',
}

/**
 * Returns the actor of a service. It cannot manage administrators, so its key cannot create one.
 */
export function actorOf(apiKey: ApiKey): Actor {
  return { name: `${subjectOf(apiKey)}/${apiKey.id}`, canManageAdministrators: false, party: serviceParty(apiKey) }
}

async function findKey({ database, clock }: Deps, text: string): Promise<Lookup> {
  const digest = digestOfApiKey(text)
  if (digest === undefined) return { reason: 'malformed' }
  const apiKey = await database.findApiKey(digest)
  if (!apiKey) return { reason: 'unknown' }
  if (apiKey.revoked_at !== null) return { reason: 'revoked', formerKey: apiKey }
  const hasExpired = apiKey.expires_at !== null && apiKey.expires_at.getTime() <= clock()
  return hasExpired ? { reason: 'expired', formerKey: apiKey } : { apiKey }
}

function grants({ scopes, roles }: ApiKey, required: RequiredAccess): boolean {
  return required === 'roles' ? roles.length > 0 : scopes.includes(required)
}

function recordInvalid(deps: Deps, invalid: InvalidKey, source: Source): Promise<void> {
  return recordRejection(deps, invalid.reason, 'formerKey' in invalid ? invalid.formerKey : undefined, source)
}

function recordRejection(
  deps: Deps,
  reason: Exclude<ApiKeyOutcome, 'accepted'>,
  apiKey: ApiKey | undefined,
  source: Source,
): Promise<void> {
  deps.metrics.apiKey(reason)
  const identity = apiKey && { api_key: apiKey.id, service: apiKey.name }
  return recordRefusal(
    { ...deps, source },
    {
      event: { event: 'api_key.refused', reason, ...identity, address: source.address },
      by: apiKey ? serviceParty(apiKey) : { kind: 'anonymous' },
    },
  )
}
