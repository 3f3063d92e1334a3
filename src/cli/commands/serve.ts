import { openApp, openHttp } from '../../app/app.ts'
import { claimDataDirectory } from '../../app/dataDirectoryClaim.ts'
import { startHousekeeping } from '../../app/housekeeping.ts'
import { countFailures, observeApp, serveMetrics } from '../../app/metrics.ts'
import { prepareDatabaseWithRetries } from '../../app/startup.ts'
import type { Config } from '../../config/config.ts'
import { createAvailabilityLog } from '../../db/pool/availabilityLog.ts'
import { createStartupHandler, type Listener, listen } from '../../http/edge/listener.ts'
import type { Http } from '../../http/server.ts'
import { createLog, describeError, type Log } from '../../telemetry/log.ts'
import { createLogWriter } from '../../telemetry/logWriter.ts'
import { createProductMetrics } from '../../telemetry/productMetrics.ts'
import { createTraces } from '../../telemetry/traces.ts'
import { version } from '../../version.ts'
import type { Command, CommandEnvironment, ExitCode } from '../command.ts'
import { listenForCommands } from '../control/control.ts'

export const serve: Command = {
  name: 'serve',
  summary: 'Migrate, seed and serve (default command)',
  arguments: [],
  flags: {},
  run: runServer,
}

/** Milliseconds of the end, each from the end of the grace on; all of it within the ten seconds that Docker waits before it kills. */
const endings = {
  /** Then a request whose body is not there as a whole is given up. */
  unfinished: 1000,
  /** Then everything is answered that is still under way. */
  all: 7000,
  /** Then the process ends. */
  deadline: 8000,
}

async function runServer({ config, logDescriptor, stderr }: CommandEnvironment): Promise<ExitCode> {
  const metrics = createProductMetrics()
  const traces = createTraces()
  const reportDropped = (lines: number) => log.error('log.dropped', { lines })
  const { write, end } = createLogWriter(logDescriptor, { reportDropped, countDropped: metrics.logLinesDropped })
  const { logLevel: level, logFormat: format } = config
  const log: Log = createLog({ level, format, now: Date.now, write, context: traces.current })
  const ending = awaitEnding()
  surviveStrayErrors(log)

  const claim = await claimDataDirectory(config)
  const loading = Promise.withResolvers<Http>()
  const stopping: (() => void | Promise<void>)[] = [claim.release]
  try {
    const { isEnding } = ending
    const listener = listen(config, createStartupHandler({ ...config, isEnding }, loading.promise))
    stopping.unshift(listener.stop)
    stopping.push(serveMetrics(config, metrics.registry, log))
    // The event loop gets its turns while the rest is loaded, so that a first probe is answered at once.
    await Bun.sleep(1)
    const availabilityObserver = countFailures(createAvailabilityLog(log, performance.now.bind(performance)), metrics)
    const environment = { log, clock: Date.now, onDatabaseLost: ending.fail, availabilityObserver, metrics }
    const app = await openApp(config, claim, environment)
    observeApp(metrics.registry, app.deps, ending.isEnding)
    stopping.splice(1, 1, app.close)
    await Bun.sleep(1)
    const answered = config.metrics === 'off' ? undefined : metrics.requestFinished
    const http = await openHttp(app, config, isEnding, {
      requestFinished: answered,
      traces,
      logged: config.logRequests,
    })
    stopping[0] = () => answerTheLast(listener, http)
    loading.resolve(http)
    log.info('server.listening', { url: listener.url + config.basePath, version })
    const isPrepared = await Promise.race([
      prepareDatabaseWithRetries(app, ending.isEnding),
      ending.reason.then(() => false),
    ])
    if (isPrepared) {
      // What cannot be read now is read when it is needed.
      await http.keyRing.refresh().catch(() => {})
      stopping.unshift(startHousekeeping(app), http.keyRing.startPolling())
      if (!config.databaseUrl) stopping.unshift(listenForCommands(config.dataDir, app.deps))
      log.info('server.ready', { url: listener.url + config.basePath })
      if (config.logFormat === 'pretty')
        write(banner(config, listener, await app.deps.database.users.listQuarantinedAdministrators()))
    }
    const reason = await ending.reason
    log.info('server.stopping', { reason: reason.text })
    listener.prepareToStop()
    if (reason.hasGrace) await Bun.sleep(config.shutdownGraceSeconds * 1000)
    if (reason.isFailure) stderr(`audittrail: ${reason.text}\n`)
    return reason.isFailure ? 1 : 0
  } finally {
    loading.reject(new Error('stopped'))
    await withDeadline(stopInOrder(stopping, log), endings.deadline)
    log.info('server.stopped')
    await end()
  }
}

/** What has come is answered; what has come in part, or takes too long, with 503. */
async function answerTheLast(listener: Listener, http: Http): Promise<void> {
  const timers = [
    setTimeout(http.expireIncompleteRequests, endings.unfinished),
    setTimeout(http.expireAllRequests, endings.all),
  ]
  await listener.stop()
  for (const timer of timers) clearTimeout(timer)
}

/** Each after the one before: what asks the database ends before the database does. None keeps the others from ending. */
async function stopInOrder(stopping: readonly (() => void | Promise<void>)[], log: Log): Promise<void> {
  for (const stop of stopping) {
    try {
      await stop()
    } catch (error) {
      log.error('server.stop_failed', describeError(error))
    }
  }
}

/** Stray errors that are written in full within a minute; the rest is counted. */
const strayErrorsPerMinute = 10

/**
 * What was thrown where nobody can catch it (a timer of a library, a promise that nobody waits for) must not end the process for
 * all who are being answered. It is a fault all the same, and each is an error in the log: at most ten a minute, so that one
 * that comes back for ever does not fill the disk, with the number of those that were left out.
 */
function surviveStrayErrors(log: Log): void {
  let written = 0
  let leftOut = 0
  const survive = (error: unknown) => {
    if (written === 0)
      setTimeout(() => {
        written = 0
      }, 60_000).unref()
    if (written++ >= strayErrorsPerMinute) return void leftOut++
    log.error('process.stray_error', { ...describeError(error), ...(leftOut > 0 ? { left_out: leftOut } : {}) })
    leftOut = 0
  }
  process.on('uncaughtException', survive)
  process.on('unhandledRejection', survive)
}

async function withDeadline(work: Promise<void>, milliseconds: number): Promise<void> {
  const { promise: deadline, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, milliseconds)
  await Promise.race([work, deadline])
  clearTimeout(timer)
}

interface Ending {
  readonly text: string
  readonly isFailure: boolean
  /** Others have to hear of the end before it comes: a load balancer, the proxy in front. */
  readonly hasGrace: boolean
}

/**
 * Resolves with the first of SIGTERM, SIGINT and the loss of the database. Without handlers of its own PID 1 in a
 * container would ignore both signals. A second signal ends the process at once.
 */
function awaitEnding() {
  const { promise, resolve } = Promise.withResolvers<Ending>()
  let isEnding = false
  const end = (ending: Ending) => {
    isEnding = true
    resolve(ending)
  }
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (isEnding) process.exit(1)
      end({ text: signal, isFailure: false, hasGrace: signal === 'SIGTERM' })
    })
  }
  return {
    reason: promise,
    isEnding: () => isEnding,
    fail: (text: string) => end({ text, isFailure: true, hasGrace: false }),
  }
}

function banner(config: Config, { url, port }: Listener, quarantined: readonly string[]): string {
  const address = `${config.host === '0.0.0.0' || config.host === '::' ? `http://127.0.0.1:${port}` : url}${config.basePath}`
  const isDefault = quarantined.includes(config.adminUsername) && config.adminPassword === undefined
  const signIn = `curl -d 'username=${config.adminUsername}&password=${isDefault ? 'changeme' : '…'}' ${address}/auth/login`
  const warning = isDefault
    ? `\n  Warning    ${config.adminUsername} still has the password that everybody knows. Until it is changed,
             it opens nothing but ${config.basePath}/auth/me. To change it: audittrail user password ${config.adminUsername}\n`
    : ''
  return `
  AuditTrail ${version}
  Address    ${address}
  Database   ${config.databaseUrl ? 'PostgreSQL' : `embedded, in ${config.dataDir} (for development and small installations)`}
  Sign in    ${signIn}
${warning}
  Ctrl-C ends it.

`
}
