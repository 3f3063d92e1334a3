import type { Clock } from '../clock.ts'
import type { Config } from '../config/config.ts'
import { listenAddressOf } from '../config/listenAddress.ts'
import type { Durability } from '../db/failover/durability.ts'
import type { FailoverState } from '../db/failover/failover.ts'
import type { AvailabilityObserver } from '../db/pool/availabilityLog.ts'
import type { Sequencer } from '../domain/audit/sequencer.ts'
import type { Deps } from '../domain/deps.ts'
import type { KeyRing } from '../domain/keys/keyRing.ts'
import { findUnreadiness } from '../domain/readiness.ts'
import type { RegularVerification } from '../domain/verifiedLog/regular.ts'
import { listenForScrapes } from '../http/probes/metricsListener.ts'
import type { Log } from '../telemetry/log.ts'
import { observeProcess } from '../telemetry/processMetrics.ts'
import type { ProductMetrics } from '../telemetry/productMetrics.ts'
import type { MetricsRegistry } from '../telemetry/registry.ts'

/** Serves metrics if METRICS is set. Returns a function to stop it. Throws `refused`. */
export function serveMetrics(config: Pick<Config, 'metrics'>, metrics: MetricsRegistry, log: Log): () => Promise<void> {
  const address = listenAddressOf(config.metrics)
  if (!address) return async () => {}
  const { url, stop } = listenForScrapes(address, metrics)
  const stopObserving = observeProcess(metrics)
  log.info('metrics.listening', { url })
  return async () => {
    stopObserving()
    await stop()
  }
}

/** Milliseconds that a scrape waits for the database. */
const scrapeLimit = 1000

/** Registers the metrics that each scrape reads from the app. */
export function observeApp(
  { observable }: MetricsRegistry,
  deps: Deps,
  keyRing: KeyRing,
  isEnding: () => boolean,
): void {
  const { hashQueue } = deps
  const { slots, queue } = hashQueue.limits
  observable('gauge', 'audittrail_ready', 'Whether /ready returns 200.', () =>
    isEnding() ? 0 : readReadiness(deps, keyRing),
  )
  observable('gauge', 'audittrail_hash_running', 'Password hashes in progress.', () => hashQueue.running)
  observable('gauge', 'audittrail_hash_places', 'Slots for password hashes.', () => slots)
  observable('gauge', 'audittrail_hash_queue_length', 'Hashes waiting for a slot.', () => hashQueue.waiting)
  observable('gauge', 'audittrail_hash_queue_limit', 'Hashes that may wait. More are rejected.', () => queue)
  observable('gauge', 'audittrail_hash_native', 'Whether argon2 hashes are verified by the native addon.', () =>
    deps.argon2().name === 'native' ? 1 : 0,
  )
  const pool = deps.database.pool
  observable('gauge', 'audittrail_database_connections', 'Open database connections.', () => pool().connections)
  observable('gauge', 'audittrail_database_waiting', 'Operations waiting for a connection.', () => pool().waiting)
  observable(
    'counter',
    'audittrail_database_connections_opened_total',
    'Database connections opened.',
    () => pool().opened,
  )
}

/** Registers what is known about the server of DATABASE_URL. */
export function observeServer(
  { observable }: MetricsRegistry,
  state: () => FailoverState,
  durability: () => Durability | undefined,
): void {
  observable('gauge', 'audittrail_database_synchronous', 'Whether commits wait for a standby.', () =>
    toNumber(durability()?.isSynchronous),
  )
  observable('gauge', 'audittrail_database_standbys', 'Standbys of the primary.', () => durability()?.standbys)
  observable(
    'gauge',
    'audittrail_database_standbys_in_step',
    'Standbys that commits may wait for. Missing if the role must not see it.',
    () => durability()?.standbysInStep,
  )
  observable('gauge', 'audittrail_database_timeline', 'The timeline of the primary.', () => state().timeline)
  observable(
    'counter',
    'audittrail_database_failovers_total',
    'Failovers of the database to a new timeline.',
    () => state().failovers,
  )
  observable(
    'counter',
    'audittrail_database_changes_lost_total',
    'Acknowledged changes that were missing after a failover, revocations that were repeated included.',
    () => state().lost,
  )
}

function toNumber(value: boolean | undefined): number | undefined {
  return value === undefined ? undefined : Number(value)
}

/** Registers the metrics of the audit log. */
export function observeAudit({ observable }: MetricsRegistry, { state }: Pick<Sequencer, 'state'>, clock: Clock): void {
  observable('gauge', 'audittrail_audit_consistent', 'Whether the audit log is the one that was signed.', () =>
    state().inconsistency === undefined ? 1 : 0,
  )
  observable('gauge', 'audittrail_audit_size', 'Records in the audit log.', () => state().size)
  observable(
    'gauge',
    'audittrail_audit_pending',
    'Committed events that are not in the audit log yet, up to 100,000.',
    () => state().pending,
  )
  observable('gauge', 'audittrail_audit_pending_age_seconds', 'Age of the oldest pending event; 0: none.', () => {
    const { oldestPendingAt } = state()
    return oldestPendingAt === undefined ? 0 : Math.max(0, clock() - oldestPendingAt) / 1000
  })
  observable(
    'gauge',
    'audittrail_audit_refused',
    'Pending rows that this service did not write, up to 100,000.',
    () => state().refused,
  )
  observable(
    'counter',
    'audittrail_audit_missing_total',
    'Committed events that have disappeared before they were in the audit log.',
    () => state().missing,
  )
  observable(
    'counter',
    'audittrail_audit_suppressed_total',
    'Refusals that were only counted, because there were too many in one second.',
    () => state().suppressed,
  )
  observable(
    'gauge',
    'audittrail_audit_sequenced_timestamp_seconds',
    'When pending events were last taken without an error.',
    () => state().sequencedAt / 1000,
  )
}

/** Registers the metrics of the verification of the audit log. */
export function observeVerification(
  { observable }: MetricsRegistry,
  { state }: Pick<RegularVerification, 'state'>,
): void {
  observable(
    'gauge',
    'audittrail_audit_verified_timestamp_seconds',
    'When the audit log was last verified, or when it began.',
    () => state().verifiedAt / 1000,
  )
  observable(
    'gauge',
    'audittrail_audit_findings',
    'Findings of the last verification of the audit log.',
    () => state().findings,
  )
}

async function readReadiness(deps: Deps, keyRing: KeyRing): Promise<number> {
  const { promise: timeout, resolve } = Promise.withResolvers<number>()
  const timer = setTimeout(resolve, scrapeLimit, 0)
  const readiness = findUnreadiness(deps, keyRing).then(
    (unreadiness) => (unreadiness ? 0 : 1),
    () => 0,
  )
  try {
    return await Promise.race([readiness, timeout])
  } finally {
    clearTimeout(timer)
  }
}

/** Passes each outcome to the metrics and to the log. */
export function countFailures(observer: AvailabilityObserver, metrics: ProductMetrics): AvailabilityObserver {
  return {
    failed: (failure) => {
      metrics.databaseFailed(failure.code === 'refused' ? 'refused' : 'unavailable')
      observer.failed(failure)
    },
    succeeded: () => {
      metrics.databaseSucceeded()
      observer.succeeded()
    },
    fenced: observer.fenced,
  }
}
