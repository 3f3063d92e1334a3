import { type App, claimDataDirectory, hasDatabase, openApp, prepareDatabase } from '../../app/app.ts'
import { AppError } from '../../error.ts'
import { createLog } from '../../telemetry/log.ts'
import type { CommandEnvironment } from '../command.ts'
import { askServer } from './control.ts'
import { type OperationInput, type OperationName, type OperationOutput, operations } from './operations.ts'

/** Runs a command's work on an opened app and closes it, come what may. Its log goes to stderr, so that stdout is the answer. */
export async function withApp<T>({ config, stderr }: CommandEnvironment, work: (app: App) => Promise<T>): Promise<T> {
  // What a command does, it says itself; of the log only what is amiss.
  const log = createLog({
    level: config.logLevel === 'info' ? 'warn' : config.logLevel,
    format: config.logFormat,
    now: Date.now,
    write: stderr,
  })
  const app = await openApp(config, await claimDataDirectory(config), {
    log,
    clock: Date.now,
    onDatabaseLost: (reason) => {
      stderr(`audittrail: ${reason}\n`)
      process.exit(1)
    },
  })
  try {
    return await work(app)
  } finally {
    await app.close()
  }
}

/** Has the server that holds the embedded database carry out an operation; undefined where there is none. */
export async function askRunningServer<Name extends OperationName>(
  { config }: Pick<CommandEnvironment, 'config'>,
  name: Name,
  input: OperationInput<Name>,
): Promise<OperationOutput<Name> | undefined> {
  return config.databaseUrl ? undefined : (await askServer(config.dataDir, name, input))?.output
}

/** Carries out an operation: by that server, or else here, on a database that is brought up to date first, as a server does. */
export async function perform<Name extends OperationName>(
  surroundings: CommandEnvironment,
  name: Name,
  input: OperationInput<Name>,
): Promise<OperationOutput<Name>> {
  const answer = await askRunningServer(surroundings, name, input)
  if (answer !== undefined) return answer
  requireDatabase(surroundings.config)
  return withApp(surroundings, async (app) => {
    await prepareDatabase(app)
    const operation = operations[name] as (
      deps: App['deps'],
      input: OperationInput<Name>,
    ) => Promise<OperationOutput<Name>>
    return operation(app.deps, input)
  })
}

/** Throws `refused` where a command would make a database by being started in the wrong place. */
export function requireDatabase(config: CommandEnvironment['config']): void {
  if (hasDatabase(config)) return
  throw new AppError(
    'refused',
    `There is no database in DATA_DIR ${JSON.stringify(config.dataDir)}: start the server there once, or set DATA_DIR or DATABASE_URL as the server has them.`,
  )
}
