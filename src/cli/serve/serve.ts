import { isatty } from 'node:tty'
import { openApp, openHttp } from '../../app/app.ts'
import { startAudit } from '../../app/audit.ts'
import { keepSynchronized } from '../../app/databaseClock.ts'
import { claimDataDirectory } from '../../app/dataDirectoryClaim.ts'
import { type DurabilityReport, startDurabilityReport } from '../../app/durabilityReport.ts'
import { startFailoverChecks } from '../../app/failoverChecks.ts'
import { startHousekeeping } from '../../app/housekeeping.ts'

import { countFailures, observeApp, observeAudit, observeServer, serveMetrics } from '../../app/metrics.ts'

import { prepareDatabaseWithRetries } from '../../app/startup.ts'
import { databaseLabel } from '../../config/databaseLabel.ts'
import { createAvailabilityLog } from '../../db/pool/availabilityLog.ts'
import { createStartupHandler, type Listener, listen } from '../../http/edge/listener.ts'
import type { Http } from '../../http/server.ts'
import { createLog, type Log, type LogFormat } from '../../telemetry/log.ts'
import { createLogWriter } from '../../telemetry/logWriter.ts'
import { createProductMetrics, type ProductMetrics } from '../../telemetry/productMetrics.ts'
import { createTraces, type Traces } from '../../telemetry/traces.ts'
import { version } from '../../version.ts'
import type { Command, CommandEnvironment, ExitCode } from '../command.ts'
import { listenForCommands } from '../control/control.ts'
import { bannerText } from './banner.ts'
import { type ShutdownSteps, shutDown, stopHttp } from './shutdown.ts'
import { awaitStop, type StopRequest } from './stop.ts'
import { logStrayErrors } from './strayErrors.ts'

export const serve: Command = {
  name: 'serve',
  summary: 'Migrate, seed and serve (default command)',
  arguments: [],
  flags: {},
  run: runServer,
}

async function runServer(environment: CommandEnvironment): Promise<ExitCode> {
  const { config, sources, logDescriptor, program, stderr } = environment
  const metrics = createProductMetrics()
  const traces = createTraces()
  const reportDropped = (lines: number) => log.error('log.dropped', { lines })
  const { write, end } = createLogWriter(logDescriptor, { reportDropped, countDropped: metrics.logLinesDropped })
  const format = formatFor(logDescriptor, config, sources)
  const log: Log = createLog({ level: config.logLevel, format, now: Date.now, write, context: traces.current })
  const stop = awaitStop()
  logStrayErrors(log)

  const claim = await claimDataDirectory(config)
  const loading = Promise.withResolvers<Http>()
  const steps: ShutdownSteps = { dataDirectory: claim.release }
  try {
    const { isEnding } = stop
    const listener = listen(config, createStartupHandler({ ...config, isEnding }, loading.promise))
    steps.http = listener.stop
    steps.metrics = serveMetrics(config, metrics.registry, log)
    const showBanner = format === 'pretty' ? write : undefined
    const start = { config, claim, log, metrics, traces, listener, loading, stop, steps, program, showBanner }
    await startServer(start)
    const { reason, isFailure, hasGrace } = await stop.requested
    log.info('server.stopping', { reason })
    listener.prepareToStop()
    if (hasGrace) await Bun.sleep(config.shutdownGraceSeconds * 1000)
    if (isFailure) stderr(`audittrail: ${reason}\n`)
    return isFailure ? 1 : 0
  } finally {
    loading.reject(new Error('stopped'))
    await shutDown(steps, log)
    log.info('server.stopped')
    await end()
  }
}

interface Start {
  readonly config: CommandEnvironment['config']
  readonly claim: Awaited<ReturnType<typeof claimDataDirectory>>
  readonly log: Log
  readonly metrics: ProductMetrics
  readonly traces: Traces
  readonly listener: Listener
  /** Resolved with the routes, which the listener waits for. */
  readonly loading: PromiseWithResolvers<Http>
  readonly stop: StopRequest
  /** Completed with each part that has started. */
  readonly steps: ShutdownSteps
  readonly program: string
  /** Undefined if programs read the log. */
  readonly showBanner: ((text: string) => void) | undefined
}

/** Milliseconds that requests wait for the database before they get 503. */
const longestWaitForSecretKey = 2000

/** Starts everything but the listener. Resolves when the server is ready or must stop. */
async function startServer({
  config,
  claim,
  log,
  metrics,
  traces,
  listener,
  loading,
  stop,
  steps,
  program,
  showBanner,
}: Start): Promise<void> {
  const { isEnding } = stop
  // Lets the event loop respond to a first health check between the imports.
  await Bun.sleep(1)
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
  await Bun.sleep(1)
  const requestFinished = config.metrics === 'off' ? undefined : metrics.requestFinished
  const http = await openHttp(app, config, isEnding, Date.now, { requestFinished, traces, logged: config.logRequests })
  observeApp(metrics.registry, app.deps, http.keyRing, isEnding)
  let durability: DurabilityReport | undefined
  if (config.databaseUrl) observeServer(metrics.registry, app.failover.state, () => durability?.latest())
  observeAudit(metrics.registry, app.sequencer, app.deps.clock)
  steps.http = () => stopHttp(listener, http)
  const preparing = Promise.race([prepareDatabaseWithRetries(app, isEnding), stop.requested.then(() => false)])
  // No token can be checked before the database has told which reading of SECRET_KEY is its own.
  if (config.formerSecretKey !== undefined) await Promise.race([preparing, Bun.sleep(longestWaitForSecretKey)])
  loading.resolve(http)
  const url = listener.url + config.basePath
  log.info('server.listening', { url, version, database: databaseLabel(config) })
  if (!(await preparing)) return
  // Keys that cannot be read now are read on first use.
  await http.keyRing.refresh().catch(() => {})
  steps.housekeeping = startHousekeeping(app)
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
}

/** A terminal is read by a person. */
function formatFor(
  logDescriptor: number,
  config: CommandEnvironment['config'],
  sources: CommandEnvironment['sources'],
): LogFormat {
  return sources.logFormat === 'default' && isatty(logDescriptor) ? 'pretty' : config.logFormat
}
