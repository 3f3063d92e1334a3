import { AppError } from '../../error.ts'
import { describeError } from '../../telemetry/log.ts'
import type { ApiKeyOutcome } from '../../telemetry/productMetrics.ts'
import type { Deps } from '../deps.ts'
import { record } from '../events.ts'
import type { Actor } from '../users/users.ts'
import { digestOfApiKey } from './apiKeyFormat.ts'
import type { ApiKey, Scope } from './apiKeys.ts'

/** What a request needs: a scope, or for /auth/verify any role at all. */
export type RequiredAccess = Scope | 'roles'

/** The keys that requests show. One for the process, as it knows which ones it has seen of late. */
export interface ApiKeyCheck {
  /** The key of that text, as long as it is good; undefined for all else. */
  find(text: string): Promise<ApiKey | undefined>
  /** The same for one that opens what is needed. Throws `invalid_token` or `forbidden`, and both are recorded. */
  require(text: string, need: RequiredAccess, address: string | undefined): Promise<ApiKey>
  /** For doors that no key opens: throws `invalid_token`, the same for a good one, and records whose it is. */
  reject(text: string, address: string | undefined): Promise<never>
}

/** Milliseconds between two notes of a key's use. */
const noteInterval = 60_000
/** By which no replica's clock is ahead of another's. A later note was made by a clock that was wrong. */
const mostAhead = 3_600_000
/** Keys whose latest note is remembered, and in one statement; beyond, all are forgotten and the database is asked once more. */
const mostNoted = 1000

type Reading = { readonly apiKey: ApiKey } | BadKey
type BadKey =
  | { readonly reason: 'malformed' | 'unknown' }
  | { readonly reason: 'revoked' | 'expired'; readonly former: ApiKey }

export function createApiKeyCheck(deps: Deps): ApiKeyCheck {
  const { database, clock, log, metrics } = deps
  const noted = new Map<string, number>()
  const toNote = new Set<string>()
  let isNoting = false

  const read = async (text: string): Promise<Reading> => {
    const digest = digestOfApiKey(text)
    if (digest === undefined) return { reason: 'malformed' }
    const apiKey = await database.apiKeys.findApiKey(digest)
    if (!apiKey) return { reason: 'unknown' }
    if (apiKey.revoked_at !== null) return { reason: 'revoked', former: apiKey }
    const isOver = apiKey.expires_at !== null && apiKey.expires_at.getTime() <= clock()
    return isOver ? { reason: 'expired', former: apiKey } : { apiKey }
  }

  /** Nobody waits for it, and nobody is refused because it fails: it is a note. */
  const noteUse = ({ id, last_used_at }: ApiKey) => {
    const now = clock()
    const isRecent = (note = 0) => note > now - noteInterval && note < now + mostAhead
    if (isRecent(last_used_at?.getTime()) || isRecent(noted.get(id))) return
    if (noted.size >= mostNoted) noted.clear()
    noted.set(id, now)
    toNote.add(id)
    if (!isNoting) void writeNotes()
  }

  /** One statement at a time, were there ten thousand keys: whatever it waits for, the connections are for requests. */
  const writeNotes = async () => {
    isNoting = true
    while (toNote.size > 0) {
      const ids = [...toNote].slice(0, mostNoted)
      for (const id of ids) toNote.delete(id)
      const now = clock()
      await database.apiKeys
        .updateLastUse(ids, new Date(now), {
          early: new Date(now - noteInterval),
          late: new Date(now + mostAhead),
        })
        .catch((error) => {
          log.warn('api_key.use_not_noted', { api_keys: ids.length, ...describeError(error) })
        })
    }
    isNoting = false
  }

  const refuse = (outcome: Exclude<ApiKeyOutcome, 'accepted'>, apiKey: ApiKey | undefined, address?: string) => {
    metrics.apiKey(outcome)
    const whose = apiKey && { api_key: apiKey.id, service: apiKey.name }
    record(deps, { event: 'api_key.refused', reason: outcome, ...whose, address })
  }
  const refuseBad = (bad: BadKey, address?: string) =>
    refuse(bad.reason, 'former' in bad ? bad.former : undefined, address)

  return {
    find: async (text) => {
      const reading = await read(text)
      if (!('apiKey' in reading)) return undefined
      noteUse(reading.apiKey)
      return reading.apiKey
    },

    require: async (text, need, address) => {
      const reading = await read(text)
      if (!('apiKey' in reading)) {
        refuseBad(reading, address)
        throw new AppError('invalid_token', 'Could not validate credentials')
      }
      const { apiKey } = reading
      noteUse(apiKey)
      if (!opens(apiKey, need)) {
        refuse('scope', apiKey, address)
        throw new AppError('forbidden', refusals[need])
      }
      metrics.apiKey('accepted')
      return apiKey
    },

    reject: async (text, address) => {
      const reading = await read(text)
      if ('apiKey' in reading) {
        noteUse(reading.apiKey)
        refuse('scope', reading.apiKey, address)
      } else refuseBad(reading, address)
      throw new AppError('invalid_token', 'This endpoint requires a signed-in user; API keys are not accepted.')
    },
  }
}

const refusals: Readonly<Record<RequiredAccess, string>> = {
  introspect: 'This endpoint requires an API key with the scope introspect.',
  'users:read': 'This endpoint requires an API key with the scope users:read.',
  'users:write': 'This endpoint requires an API key with the scope users:write.',
  roles: 'This endpoint requires an API key with at least one role.',
}

function opens({ scopes, roles }: ApiKey, need: RequiredAccess): boolean {
  return need === 'roles' ? roles.length > 0 : scopes.includes(need)
}

/** What a service is called where users are too: no username has a colon in it. */
export function subjectOf({ name }: ApiKey): string {
  return `service:${name}`
}

/** Returns the actor of a service. It cannot manage administrators, or its key could create another one. */
export function actorOf(apiKey: ApiKey): Actor {
  return { name: `${subjectOf(apiKey)}/${apiKey.id}`, canManageAdministrators: false }
}
