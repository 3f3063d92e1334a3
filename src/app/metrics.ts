import type { Config } from '../config/config.ts'
import { listenAddressOf } from '../config/listenAddress.ts'
import type { AvailabilityObserver } from '../db/pool/availabilityLog.ts'
import type { Deps } from '../domain/deps.ts'
import { findUnreadiness } from '../domain/readiness.ts'
import { listenForScrapes } from '../http/probes/metricsListener.ts'
import type { Log } from '../telemetry/log.ts'
import { observeProcess } from '../telemetry/processMetrics.ts'
import type { ProductMetrics } from '../telemetry/productMetrics.ts'
import type { MetricsRegistry } from '../telemetry/registry.ts'

/** Listens for Prometheus where METRICS says so; answers how to end that. Throws `refused` where it cannot. */
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
const patience = 1000

/** What is read of the opened app when somebody scrapes. `isEnding`: it was told to stop, and is ready for nothing more. */
export function observeApp({ observable: reading }: MetricsRegistry, deps: Deps, isEnding: () => boolean): void {
  const { hashQueue } = deps
  const { slots: places, queue } = hashQueue.limits
  reading('gauge', 'audittrail_ready', 'What /ready says: 1, or 0 while it is 503.', () =>
    isEnding() ? 0 : ready(deps),
  )
  reading('gauge', 'audittrail_hash_running', 'Password hashes that are computed now.', () => hashQueue.running)
  reading('gauge', 'audittrail_hash_places', 'Password hashes that may be computed at once.', () => places)
  reading('gauge', 'audittrail_hash_queue_length', 'Those that wait for a place.', () => hashQueue.waiting)
  reading('gauge', 'audittrail_hash_queue_limit', 'As many may wait; who comes then is refused.', () => queue)
  const pool = deps.database.pool
  reading('gauge', 'audittrail_database_connections', 'Connections that are open.', () => pool().connections)
  reading('gauge', 'audittrail_database_waiting', 'Operations that wait for a connection.', () => pool().waiting)
  reading('counter', 'audittrail_database_connections_opened_total', 'Those that were opened.', () => pool().opened)
}

async function ready(deps: Deps): Promise<number> {
  const { promise: late, resolve } = Promise.withResolvers<number>()
  const timer = setTimeout(resolve, patience, 0)
  const found = findUnreadiness(deps).then(
    (unreadiness) => (unreadiness ? 0 : 1),
    () => 0,
  )
  try {
    return await Promise.race([found, late])
  } finally {
    clearTimeout(timer)
  }
}

/** Tells both how the database does. */
export function countFailures(watch: AvailabilityObserver, metrics: ProductMetrics): AvailabilityObserver {
  return {
    failed: (failure) => {
      metrics.databaseFailed(failure.code === 'refused' ? 'refused' : 'unavailable')
      watch.failed(failure)
    },
    succeeded: () => {
      metrics.databaseSucceeded()
      watch.succeeded()
    },
  }
}
