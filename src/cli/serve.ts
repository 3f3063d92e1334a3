import { type App, keepHouse, openApp, openHttp, prepareDatabaseWithRetries } from '../app.ts'
import type { Config } from '../config.ts'
import { type Listener, listen } from '../http/server.ts'
import { batchedWriter, createLog, describeError, type Log } from '../log.ts'
import { version } from '../version.ts'
import type { Command, ExitCode, Surroundings } from './command.ts'
import { listenForCommands } from './control.ts'

export const serve: Command = {
  name: 'serve',
  summary: 'migrate, seed and serve (the default)',
  words: [],
  flags: {},
  run: runServer,
}

/** Seconds for what is under way when the process is told to end. */
const stopGrace = 10

async function runServer({ config, stdout, stderr }: Surroundings): Promise<ExitCode> {
  const { write, flush } = batchedWriter(stdout)
  const log = createLog({ level: config.logLevel, format: config.logFormat, now: Date.now, write })
  const ending = awaitEnding()
  surviveStrayErrors(log)

  const app = openApp(config, { log, clock: Date.now, onDatabaseLost: ending.fail })
  let listener: Listener | undefined
  const background: ((() => void | Promise<void>) | undefined)[] = []
  try {
    listener = listen(openHttp(app, config), config)
    log.info('server.listening', { url: listener.url + config.basePath, version })
    const isPrepared = await Promise.race([
      prepareDatabaseWithRetries(app, ending.isEnding),
      ending.reason.then(() => false),
    ])
    if (isPrepared) {
      background.push(keepHouse(app))
      if (!config.databaseUrl) background.push(listenForCommands(config.dataDir, app.deps))
      log.info('server.ready', { url: listener.url + config.basePath })
      if (config.logFormat === 'pretty')
        write(banner(config, listener, await app.deps.database.users.listQuarantinedAdministrators()))
    }
    const reason = await ending.reason
    log.info('server.stopping', { reason: reason.text })
    if (reason.isFailure) stderr(`audittrail: ${reason.text}\n`)
    return reason.isFailure ? 1 : 0
  } finally {
    for (const stop of background) await stop?.()
    await withDeadline(shutDown(app, listener), stopGrace)
    log.info('server.stopped')
    flush()
  }
}

/**
 * postgres.js throws from a timer when a connection is cut at the wrong moment, where no caller can catch it. What was under
 * way runs into its deadline; the process goes on.
 */
function surviveStrayErrors(log: Log): void {
  process.on('uncaughtException', (error) => log.error('process.stray_error', describeError(error)))
}

async function shutDown(app: App, listener: Listener | undefined): Promise<void> {
  await listener?.stop()
  await app.close()
}

async function withDeadline(work: Promise<void>, seconds: number): Promise<void> {
  const { promise: deadline, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, seconds * 1000)
  await Promise.race([work, deadline])
  clearTimeout(timer)
}

interface Ending {
  readonly text: string
  readonly isFailure: boolean
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
      end({ text: signal, isFailure: false })
    })
  }
  return {
    reason: promise,
    isEnding: () => isEnding,
    fail: (text: string) => end({ text, isFailure: true }),
  }
}

function banner(config: Config, { url, port }: Listener, quarantined: readonly string[]): string {
  const address = `${config.host === '0.0.0.0' || config.host === '::' ? `http://127.0.0.1:${port}` : url}${config.basePath}`
  const isDefault = quarantined.includes(config.adminUsername) && config.adminPassword === undefined
  const signIn = `curl -d 'username=${config.adminUsername}&password=${isDefault ? 'changeme' : '…'}' ${address}/auth/login`
  const warning = isDefault
    ? `\n  Warning    ${config.adminUsername} still has the password that everybody knows. Until it is changed,
             it opens nothing but ${config.basePath}/auth/me.\n`
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
