import { createMetricsRegistry, type MetricsRegistry } from './registry.ts'

/** The outcomes of a login. Clients do not see the reason of a failure. */
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

/** The outcomes of a refresh. `replayed` means theft, or a client that reuses old tokens. */
export const refreshOutcomes = ['succeeded', 'invalid', 'replayed', 'unavailable', 'failed'] as const
export type RefreshOutcome = (typeof refreshOutcomes)[number]

/** The outcomes of a presented API key. `scope` is a valid key without access to the endpoint. */
export const apiKeyOutcomes = ['accepted', 'malformed', 'unknown', 'revoked', 'expired', 'scope'] as const
export type ApiKeyOutcome = (typeof apiKeyOutcomes)[number]

/** Database failures: `unavailable` may pass, `refused` needs an operator. */
export const databaseFailures = ['unavailable', 'refused'] as const
export type DatabaseFailure = (typeof databaseFailures)[number]

/** Counters and histograms of the product. Times are in seconds. */
export interface ProductMetrics {
  readonly registry: MetricsRegistry
  /** `route` is a pattern and `method` one of a few, never raw client input. */
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
  const hashWaited = histogram('audittrail_hash_wait_seconds', 'Time that a hash waited for a slot.', waitBounds)()
  const hashTook = histogram('audittrail_hash_duration_seconds', 'Time that a hash held its slot.', hashBounds)()
  const sessions = counter('audittrail_sessions_swept_total', 'Ended sessions that were deleted.')()
  const failures = counter('audittrail_login_failures_swept_total', 'Expired sign-in failures that were deleted.')()
  const dropped = counter('audittrail_log_lines_dropped_total', 'Log lines dropped because the reader was too slow.')()
  const countDatabaseFailure = count(
    'audittrail_database_failures_total',
    'Database operations that failed.',
    'kind',
    databaseFailures,
  )
  let isUp: number | undefined
  metrics.observable('gauge', 'audittrail_database_up', 'Whether the last database operation succeeded.', () => isUp)

  return {
    registry: metrics,
    requestFinished: countRequests(metrics),
    login: count('audittrail_logins_total', 'Attempts to sign in.', 'outcome', loginOutcomes),
    refresh: count('audittrail_refreshes_total', 'Presented refresh tokens.', 'outcome', refreshOutcomes),
    apiKey: count('audittrail_api_keys_shown_total', 'Presented API keys.', 'outcome', apiKeyOutcomes),
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

/** Runs for every request: finds its series with two lookups and without building strings. */
function countRequests({ counter, histogram }: MetricsRegistry): ProductMetrics['requestFinished'] {
  const requests = counter('audittrail_http_requests_total', 'HTTP requests served.', ['route', 'method', 'status'])
  const durations = histogram('audittrail_http_request_duration_seconds', 'Time until the response.', requestBounds, [
    'route',
    'method',
  ])
  const createSeries = (route: string, method: string) => ({
    took: durations(route, method).observe,
    byStatus: new Map<number, () => void>(),
  })
  const seriesByRoute = new Map<string, Map<string, ReturnType<typeof createSeries>>>()
  return (route, method, status, seconds) => {
    const byMethod = seriesByRoute.get(route) ?? seriesByRoute.getOrInsertComputed(route, () => new Map())
    const series = byMethod.get(method) ?? byMethod.getOrInsertComputed(method, () => createSeries(route, method))
    series.took(seconds)
    const count = series.byStatus.get(status)
    if (count) return count()
    series.byStatus.getOrInsertComputed(status, () => requests(route, method, String(status)).add)()
  }
}
