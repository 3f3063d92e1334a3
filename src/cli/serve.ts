import { type App, openApp, openHttp, prepareDatabase } from '../app.ts'
import type { Config } from '../config.ts'
import { AppError } from '../error.ts'
import { type Listener, listen } from '../http/server.ts'
import { batchedWriter, createLog } from '../log.ts'
import { version } from '../version.ts'
import type { Command, ExitCode, Surroundings } from './command.ts'

export const serve: Command = {
  name: 'serve',
  summary: 'migrate, seed and serve (the default)',
  usage: '',
  flags: {},
  run: runServer,
}

/** Seconds for what is under way when the process is told to end. */
const stopGrace = 10
/** Seconds between attempts to reach the database at start: from, to. */
const retryDelay = { first: 0.25, longest: 2 }

async function runServer({ config, stdout, stderr }: Surroundings): Promise<ExitCode> {
  const { write, flush } = batchedWriter(stdout)
  const log = createLog({ level: config.logLevel, format: config.logFormat, now: Date.now, write })
  const ending = awaitEnding()

  const app = openApp(config, { log, clock: Date.now, onDatabaseLost: ending.fail })
  let listener: Listener | undefined
  try {
    listener = listen(openHttp(app, config), config)
    log.info('server.listening', { url: listener.url + config.basePath, version })
    const isPrepared = await Promise.race([prepareWithRetries(app, ending.isEnding), ending.reason.then(() => false)])
    if (isPrepared) {
      log.info('server.ready', { url: listener.url + config.basePath })
      if (config.logFormat === 'pretty')
        write(banner(config, listener, await app.deps.database.users.listQuarantinedAdministrators()))
    }
    const reason = await ending.reason
    log.info('server.stopping', { reason: reason.text })
    if (reason.isFailure) stderr(`audittrail: ${reason.text}\n`)
    return reason.isFailure ? 1 : 0
  } finally {
    await withDeadline(shutDown(app, listener), stopGrace)
    log.info('server.stopped')
    flush()
  }
}

/** True once the database is migrated and seeded; false when the process was told to end before. Throws when refused. */
async function prepareWithRetries(app: App, isEnding: () => boolean): Promise<boolean> {
  for (let delay = retryDelay.first; !isEnding(); delay = Math.min(delay * 2, retryDelay.longest)) {
    try {
      await prepareDatabase(app)
      return true
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'unavailable') throw error
      app.deps.log.warn('database.unavailable', { detail: error.message, retry_in_seconds: delay })
      await Bun.sleep(delay * 1000)
    }
  }
  return false
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
