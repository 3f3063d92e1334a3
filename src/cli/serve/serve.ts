import { isatty } from 'node:tty'
import { claimDataDirectory } from '../../app/dataDirectoryClaim.ts'
import { serveMetrics } from '../../app/metrics.ts'
import { createStartupHandler, listen } from '../../http/edge/listener.ts'
import type { Http } from '../../http/server.ts'
import { createLog, type Log, type LogFormat } from '../../telemetry/log.ts'
import { createLogWriter } from '../../telemetry/logWriter.ts'
import { createProductMetrics } from '../../telemetry/productMetrics.ts'
import { createTraces } from '../../telemetry/traces.ts'
import type { Command, CommandEnvironment, ExitCode } from '../command.ts'
import { type ShutdownSteps, shutDown } from './shutdown.ts'
import { awaitStop } from './stop.ts'
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
  const startup = { loading: Promise.withResolvers<Http>(), preparing: Promise.withResolvers<void>() }
  const steps: ShutdownSteps = { dataDirectory: claim.release }
  try {
    const { isEnding } = stop
    const { loading, preparing } = startup
    const listener = listen(config, createStartupHandler({ ...config, isEnding }, loading.promise, preparing.promise))
    steps.http = listener.stop
    steps.metrics = serveMetrics(config, metrics.registry, log)
    const showBanner = format === 'pretty' ? write : undefined
    const start = { config, claim, log, metrics, traces, listener, startup, stop, steps, program, showBanner }
    // Lets the event loop respond to a first health check before the rest is loaded.
    await Bun.sleep(1)
    const { startServer } = await import('./startServer.ts')
    await startServer(start)
    const { reason, isFailure, hasGrace } = await stop.requested
    log.info('server.stopping', { reason })
    listener.prepareToStop()
    if (hasGrace) await Bun.sleep(config.shutdownGraceSeconds * 1000)
    if (isFailure) stderr(`audittrail: ${reason}\n`)
    return isFailure ? 1 : 0
  } finally {
    for (const { reject } of Object.values(startup)) reject(new Error('stopped'))
    await shutDown(steps, log)
    log.info('server.stopped')
    await end()
  }
}

/** A terminal is read by a person. */
function formatFor(
  logDescriptor: number,
  config: CommandEnvironment['config'],
  sources: CommandEnvironment['sources'],
): LogFormat {
  return sources.logFormat === 'default' && isatty(logDescriptor) ? 'pretty' : config.logFormat
}
