import type { App } from '../../app/app.ts'
import { requireDatabaseKey } from '../../app/startup.ts'
import { AppError } from '../../error.ts'
import type { CommandEnvironment } from '../command.ts'
import { type OperationInput, type OperationOutput, operations } from './operations.ts'
import { askRunningServer, requireDatabase, withApp } from './perform.ts'

export type AuditOperationName = 'listAudit' | 'showAudit' | KeyedName
type KeyedName = (typeof keyed)[number]

/** They must tell what this service has signed. */
const keyed = ['proveAudit', 'listAuditKeys'] as const

/** Reads the audit log on the server that has the embedded database open, or in this process. */
export async function readAuditLog<Name extends AuditOperationName>(
  environment: CommandEnvironment,
  name: Name,
  input: OperationInput<Name>,
): Promise<OperationOutput<Name>> {
  const output = await askRunningServer(environment, name, input)
  if (output !== undefined) return output
  return withAuditLog(environment, async (read, app): Promise<OperationOutput<Name>> => {
    if (keyed.some((other) => other === name)) await requireKeyOfLog(app)
    return await read(name, input)
  })
}

type Read = <Name extends AuditOperationName>(name: Name, input: OperationInput<Name>) => Promise<OperationOutput<Name>>

/** Opens the database to read its audit log. Neither migrates nor seeds it. */
export async function withAuditLog<T>(
  environment: CommandEnvironment,
  work: (read: Read, app: App) => Promise<T>,
): Promise<T> {
  requireDatabase(environment.config)
  return withApp(environment, async (app) => {
    const { pending } = await app.deps.database.migrationStatus()
    if (pending > 0)
      throw new AppError(
        'refused',
        'This database has no audit log of this version. Start the server, or run "audittrail migrate".',
      )
    const read: Read = (name, input) => {
      const operation = operations[name] as (deps: App['deps'], given: typeof input) => Promise<never>
      return operation(app.deps, input)
    }
    return work(read, app)
  })
}

/** Throws `refused` if this process cannot tell the records of the service from others. */
export async function requireKeyOfLog(app: App): Promise<void> {
  if (!app.hasSecretKey)
    throw new AppError('refused', 'SECRET_KEY is not set. Set it to the value that the server has.')
  await requireDatabaseKey(app)
}
