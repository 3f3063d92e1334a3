import { type App, openApp } from '../../app/app.ts'
import { claimDataDirectory, hasDatabase } from '../../app/dataDirectoryClaim.ts'
import {
  bindSecretKey,
  isDatabaseKey,
  migrateAndRecord,
  prepareDatabase,
  requireDatabaseKey,
} from '../../app/startup.ts'
import { AppError } from '../../error.ts'
import { createLog } from '../../telemetry/log.ts'
import type { CommandEnvironment } from '../command.ts'
import { askServer, isServerListening } from './control.ts'
import {
  asCommand,
  type OperationInput,
  type OperationName,
  type OperationOutput,
  operations,
  readOnlyOperations,
} from './operations.ts'

/**
 * Runs a command's work on an opened app, then closes it. The log goes to stderr, so that stdout
 * has only the result.
 */
export async function withApp<T>({ config, stderr }: CommandEnvironment, work: (app: App) => Promise<T>): Promise<T> {
  // A command reports what it did. Only warnings and errors are logged.
  const log = createLog({
    level: config.logLevel === 'info' ? 'warn' : config.logLevel,
    format: config.logFormat,
    now: Date.now,
    write: stderr,
  })
  const claim = await claimDataDirectory(config)
  const app = await openApp(config, claim, {
    log,
    wallClock: Date.now,
    monotonicClock: performance.now.bind(performance),
    onDatabaseLost: (reason) => {
      stderr(`audittrail: ${reason}\n`)
      claim.release()
      process.exit(1)
    },
  })
  try {
    let hasEvents = false
    app.deps.audit.onCommitted = () => {
      hasEvents = true
    }
    const result = await work(app)
    app.keepFiles()
    // The next server takes them otherwise.
    if (hasEvents && (await isDatabaseKey(app)))
      await (config.databaseUrl ? app.sequencer.runOwn() : app.sequencer.run()).catch(() => {})
    return result
  } finally {
    await app.close()
    claim.release()
  }
}

/** Returns whether a server has the embedded database open and takes commands. */
export async function hasRunningServer({ config }: Pick<CommandEnvironment, 'config'>): Promise<boolean> {
  return !config.databaseUrl && (await isServerListening(config.dataDir))
}

/**
 * Runs an operation on the server that has the embedded database open. Returns undefined if there
 * is none.
 */
export async function askRunningServer<Name extends OperationName>(
  { config }: Pick<CommandEnvironment, 'config'>,
  name: Name,
  input: OperationInput<Name>,
): Promise<OperationOutput<Name> | undefined> {
  return config.databaseUrl ? undefined : (await askServer(config.dataDir, name, input))?.output
}

/**
 * Runs an operation on that server, or in this process after migrating and, unless it only reads,
 * seeding.
 */
export async function perform<Name extends OperationName>(
  environment: CommandEnvironment,
  name: Name,
  input: OperationInput<Name>,
): Promise<OperationOutput<Name>> {
  const output = await askRunningServer(environment, name, input)
  if (output !== undefined) return output
  requireDatabase(environment.config)
  return withApp(environment, async (app) => {
    if (readOnlyOperations.includes(name)) await migrateAndRecord(app)
    else {
      const replacesKey = name === 'resetKeys'
      if (!replacesKey) await requireDatabaseKey(app)
      await prepareDatabase(app)
      if (!replacesKey) await bindSecretKey(app)
    }
    const operation = operations[name] as (
      deps: App['deps'],
      input: OperationInput<Name>,
    ) => Promise<OperationOutput<Name>>
    return operation(asCommand(app.deps), input)
  })
}

/**
 * Throws `refused` if there is no database, so that a command started in the wrong directory
 * creates none.
 */
export function requireDatabase(config: CommandEnvironment['config']): void {
  if (hasDatabase(config)) return
  throw new AppError(
    'refused',
    `There is no database in DATA_DIR ${JSON.stringify(config.dataDir)}. Start the server there once, or set DATA_DIR or DATABASE_URL to the server's value.`,
  )
}
