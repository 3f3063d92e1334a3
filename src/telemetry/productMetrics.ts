import { createMetricsRegistry, type MetricsRegistry } from './registry.ts'

/** What becomes of an attempt to sign in. The reasons of a refusal are for whoever runs this; the client hears one sentence. */
export const loginOutcomes = [
  'succeeded',
  'unknown_user',
  'wrong_password',
  'unusable_hash',
  'inactive_user',
  'changed_meanwhile',
  'throttled',
  'overloaded',
  'unavailable',
  'failed',
] as const
export type LoginOutcome = (typeof loginOutcomes)[number]

/** What becomes of a refresh token. `replayed` is theft, or a client that keeps old tokens. */
export const refreshOutcomes = ['succeeded', 'invalid', 'replayed', 'unavailable', 'failed'] as const
export type RefreshOutcome = (typeof refreshOutcomes)[number]

/** What becomes of an API key that is shown. `scope` is a good key at a door that it does not open. */
export const apiKeyOutcomes = ['accepted', 'malformed', 'unknown', 'revoked', 'expired', 'scope'] as const
export type ApiKeyOutcome = (typeof apiKeyOutcomes)[number]

/** Why the database did not do what it was asked to: `unavailable` may pass, `refused` only a person can mend. */
export const databaseFailures = ['unavailable', 'refused'] as const
export type DatabaseFailure = (typeof databaseFailures)[number]

/** What the product counts of itself while it works. Times are seconds. */
export interface ProductMetrics {
  readonly registry: MetricsRegistry
  /** `route` is a pattern and `method` one of a few, never what a client wrote. */
  requestFinished(route: string, method: string, status: number, seconds: number): void
  login(outcome: LoginOutcome): void
  refresh(outcome: RefreshOutcome): void
  apiKey(outcome: ApiKeyOutcome): void
  hashWaited(seconds: number): void
  hashTook(seconds: number): void
  databaseFailed(kind: DatabaseFailure): void
  databaseSucceeded(): void
  sessionsSwept(count: number): void
  failuresSwept(count: number): void
  logLinesDropped(lines: number): void
}

const requestBounds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15]
const waitBounds = [0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 12]
const hashBounds = [0.01, 0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2]

export function createProductMetrics(): ProductMetrics {
  const metrics = createMetricsRegistry()
  const { counter, histogram } = metrics
  const count = <Word extends string>(name: string, help: string, label: string, words: readonly Word[]) => {
    const of = counter(name, help, [label])
    const counters = Object.fromEntries(words.map((word) => [word, of(word)])) as Record<Word, ReturnType<typeof of>>
    return (word: Word) => counters[word].add()
  }
  const hashWaited = histogram('audittrail_hash_wait_seconds', 'Time that a hash waited for its place.', waitBounds)()
  const hashTook = histogram('audittrail_hash_duration_seconds', 'Time in a place of its own.', hashBounds)()
  const sessions = counter('audittrail_sessions_swept_total', 'Dead sessions that were deleted.')()
  const failures = counter('audittrail_login_failures_swept_total', 'Forgotten failed sign-ins that were deleted.')()
  const dropped = counter('audittrail_log_lines_dropped_total', 'Lines of the log that its reader was too slow for.')()
  const countDatabaseFailure = count(
    'audittrail_database_failures_total',
    'Operations that the database did not do.',
    'kind',
    databaseFailures,
  )
  let isUp: number | undefined
  metrics.observable('gauge', 'audittrail_database_up', 'Whether the latest operation was answered.', () => isUp)

  return {
    registry: metrics,
    requestFinished: countAnswers(metrics),
    login: count('audittrail_logins_total', 'Attempts to sign in.', 'outcome', loginOutcomes),
    refresh: count('audittrail_refreshes_total', 'Refresh tokens that were shown.', 'outcome', refreshOutcomes),
    apiKey: count('audittrail_api_keys_shown_total', 'API keys that were shown.', 'outcome', apiKeyOutcomes),
    hashWaited: hashWaited.observe,
    hashTook: hashTook.observe,
    databaseFailed: (kind) => {
      countDatabaseFailure(kind)
      isUp = 0
    },
    databaseSucceeded: () => {
      isUp = 1
    },
    sessionsSwept: sessions.add,
    failuresSwept: failures.add,
    logLinesDropped: dropped.add,
  }
}

/** On the way of every request: its series are found by two look-ups, without a text being put together. */
function countAnswers({ counter, histogram }: MetricsRegistry): ProductMetrics['requestFinished'] {
  const requests = counter('audittrail_http_requests_total', 'Requests that were answered.', [
    'route',
    'method',
    'status',
  ])
  const durations = histogram('audittrail_http_request_duration_seconds', 'Time until the answer.', requestBounds, [
    'route',
    'method',
  ])
  const createPlace = (route: string, method: string) => ({
    took: durations(route, method).observe,
    byStatus: new Map<number, () => void>(),
  })
  const places = new Map<string, Map<string, ReturnType<typeof createPlace>>>()
  return (route, method, status, seconds) => {
    const byMethod = places.get(route) ?? places.getOrInsertComputed(route, () => new Map())
    const place = byMethod.get(method) ?? byMethod.getOrInsertComputed(method, () => createPlace(route, method))
    place.took(seconds)
    const count = place.byStatus.get(status)
    if (count) return count()
    place.byStatus.getOrInsertComputed(status, () => requests(route, method, String(status)).add)()
  }
}
