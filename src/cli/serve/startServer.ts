import { observeAnchors, observeWitnesses } from '../../app/anchors/metrics.ts'
import { openApp, openHttp } from '../../app/app.ts'
import { startAudit } from '../../app/audit.ts'
import { keepSynchronized } from '../../app/databaseClock.ts'
import type { DataDirectoryClaim } from '../../app/dataDirectoryClaim.ts'
import { type DurabilityReport, startDurabilityReport } from '../../app/durabilityReport.ts'
import { startFailoverChecks } from '../../app/failoverChecks.ts'
import { startHousekeeping } from '../../app/housekeeping.ts'
import { countFailures, observeApp, observeAudit, observeServer, observeVerification } from '../../app/metrics.ts'
import { prepareDatabaseWithRetries } from '../../app/startup.ts'
import { databaseLabel } from '../../config/databaseLabel.ts'
import { createAvailabilityLog } from '../../db/pool/availabilityLog.ts'
import type { Listener } from '../../http/edge/listener.ts'
import type { Http } from '../../http/server.ts'
import { releaseStartupPages } from '../../system/startupPages.ts'
import type { Log } from '../../telemetry/log.ts'
import type { ProductMetrics } from '../../telemetry/productMetrics.ts'
import type { Traces } from '../../telemetry/traces.ts'
import { version } from '../../version.ts'
import type { CommandEnvironment } from '../command.ts'
import { listenForCommands } from '../control/control.ts'
import { bannerText } from './banner.ts'
import { type ShutdownSteps, stopHttp } from './shutdown.ts'
import type { StopRequest } from './stop.ts'

export interface Start {
  readonly config: CommandEnvironment['config']
  readonly claim: DataDirectoryClaim
  readonly log: Log
  readonly metrics: ProductMetrics
  readonly traces: Traces
  readonly listener: Listener
  /**
   * The listener waits for both. `loading` resolves with the routes, `preparing` once requests may
   * be served.
   */
  readonly startup: { readonly loading: PromiseWithResolvers<Http>; readonly preparing: PromiseWithResolvers<void> }
  readonly stop: StopRequest
  /** Completed with each part that has started. */
  readonly steps: ShutdownSteps
  readonly program: string
  /** Undefined if programs read the log. */
  readonly showBanner: ((text: string) => void) | undefined
}

/**
 * Milliseconds that requests wait for the database to be prepared, unless it is unavailable.
 * Creating the embedded database takes longer on some disks.
 */
const longestWait = { server: 2000, embedded: 12_000 }

/** Starts everything but the listener. Resolves when the server is ready or must stop. */
export async function startServer({
  config,
  claim,
  log,
  metrics,
  traces,
  listener,
  startup,
  stop,
  steps,
  program,
  showBanner,
}: Start): Promise<void> {
  const { isEnding } = stop
  const availabilityLog = createAvailabilityLog(log, performance.now.bind(performance))
  const availabilityObserver = countFailures(availabilityLog, metrics)
  const app = await openApp(config, claim, {
    log,
    wallClock: Date.now,
    monotonicClock: performance.now.bind(performance),
    onDatabaseLost: stop.fail,
    availabilityObserver,
    metrics,
  })
  steps.database = app.close
  // Lets the event loop respond between the imports.
  await Bun.sleep(1)
  const requestFinished = config.metrics === 'off' ? undefined : metrics.requestFinished
  const http = await openHttp(app, config, isEnding, Date.now, { requestFinished, traces, logged: config.logRequests })
  observeApp(metrics.registry, app.deps, http.keyRing, isEnding)
  let durability: DurabilityReport | undefined
  if (config.databaseUrl) observeServer(metrics.registry, app.failover.state, () => durability?.latest())
  observeAudit(metrics.registry, app.sequencer, app.deps.clock)
  observeVerification(metrics.registry, app.verification)
  if (config.auditCheckpointFile !== undefined)
    observeAnchors(metrics.registry, app.anchors, performance.now.bind(performance))
  if (app.witnessing) observeWitnesses(metrics.registry, app.witnessing, app.deps.clock)
  steps.http = () => stopHttp(listener, http)
  startup.loading.resolve(http)
  const { promise: unavailable, resolve: onUnavailable } = Promise.withResolvers<void>()
  const preparing = Promise.race([
    prepareDatabaseWithRetries(app, isEnding, onUnavailable),
    stop.requested.then(() => false),
  ])
  const url = listener.url + config.basePath
  log.info('server.listening', { url, version, database: databaseLabel(config) })
  // Before the database is prepared, the first administrator may not exist, and no token can be
  // checked if SECRET_KEY has two readings: only the database shows which one it uses.
  const late = Bun.sleep(config.databaseUrl ? longestWait.server : longestWait.embedded)
  await Promise.race([preparing, unavailable, late])
  startup.preparing.resolve()
  if (!(await preparing)) return
  // Keys that cannot be read now are read on first use.
  await http.keyRing.refresh().catch(() => {})
  steps.housekeeping = startHousekeeping(app, config)
  steps.audit = await startAudit(app, config)
  steps.keyRing = http.keyRing.startPolling()
  steps.clock = keepSynchronized(app.synchronizeClock)
  if (config.databaseUrl) {
    steps.failover = startFailoverChecks(app)
    durability = startDurabilityReport(app.failover, log)
    steps.durability = durability.stop
  }
  if (!config.databaseUrl) steps.controlSocket = listenForCommands(config.dataDir, app.deps)
  log.info('server.ready', { url })
  showBanner?.(bannerText(config, listener, await app.deps.database.users.listQuarantinedAdministrators(), program))
  // Frees what only startup needed.
  Bun.shrink()
  releaseStartupPages()
}
