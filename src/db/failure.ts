import { AppError } from '../error.ts'

/** SQLSTATEs with which PostgreSQL refuses us for good: password, role, database name, privileges, damage. */
const refusals: Readonly<Record<string, string>> = {
  '28P01': 'The database refused the user name or password in DATABASE_URL (28P01): correct it and start again.',
  '28000':
    'The database does not let the role in DATABASE_URL in (28000): check the role, its LOGIN right and pg_hba.conf.',
  '3D000': 'The database named in DATABASE_URL does not exist (3D000): create it (createdb NAME) or correct the name.',
  '42P07':
    'The database has a table or view already whose name AuditTrail needs (42P07): give AuditTrail a database or schema of its own.',
  '42501':
    'The role in DATABASE_URL lacks a privilege that migrating needs (42501): grant it CREATE on the schema, or run "audittrail migrate" as the owner.',
  XX001: 'Data in the database is damaged (XX001): restore a backup.',
  XX002: 'An index in the database is damaged (XX002): rebuild it with REINDEX, or restore a backup.',
}

/**
 * What may pass by itself. Classes 08 (connection), 53 (connections, memory, disk), 57 (shutdown, starting up, cancelled by a
 * time limit), 58 (I/O); a server that takes no changes (25006), as after a failover; a transaction that idled too long
 * (25P03, 25P04), lost against another (40001, 40P01) or waited too long for a lock (55P03); a statement that a pooler's next
 * server has not prepared (26000, 42P05); and a table or column that is not there yet, since a replica may be asked while
 * another one still migrates (42P01, 42703).
 */
const transient = /^(08|53|57|58|25006|25P03|25P04|26000|40001|40P01|42P01|42703|42P05|55P03)/

/** What the driver says of its connection, and the system of its socket or of a name: CONNECTION_CLOSED, ECONNRESET, EAI_AGAIN. */
const unreachable = /^(CONNECTION_|CONNECT_TIMEOUT$|E[A-Z]+(_[A-Z]+)?$)/

/** Runs one database operation; whatever goes wrong comes out as an AppError that carries no SQL and no parameter. */
export async function guarded<T>(operation: () => PromiseLike<T>): Promise<T> {
  try {
    return await operation()
  } catch (error) {
    throw databaseFailure(error)
  }
}

/** `refused` for what only a person can mend, `unavailable` for what may pass, `internal` for the rest. */
export function databaseFailure(error: unknown): AppError {
  if (error instanceof AppError) return error
  const code = driverError(error)?.code ?? ''
  const refusal = refusals[code]
  if (refusal) return new AppError('refused', refusal, { cause: error })
  if (isCertificateProblem(code)) {
    return new AppError(
      'refused',
      `The TLS certificate of the database cannot be trusted (${code}): check sslmode and sslrootcert in DATABASE_URL.`,
    )
  }
  if (isSqlState(code) ? transient.test(code) : unreachable.test(code)) {
    return new AppError('unavailable', `The database cannot be reached (${code}).`, { cause: error })
  }
  const fault = isSqlState(code) ? `The database answered with an error (SQLSTATE ${code}).` : 'unexpected'
  return new AppError('internal', fault, { cause: error })
}

/** True where the connection is of no more use: the server ended it, it broke, or it is to a server that takes no changes. */
export function endsConnection(error: AppError): boolean {
  const { code, severity } = driverError(error) ?? {}
  if (code === undefined) return false
  return severity === 'FATAL' || severity === 'PANIC' || code === readOnly || unreachable.test(code)
}

const readOnly = '25006'

/** True where other connections are of no more use either: they too are to a server that takes no changes. */
export function endsAllConnections(error: AppError): boolean {
  return driverError(error)?.code === readOnly
}

/** True of what a pooler says (PgBouncer) that takes no parameters at the start of a connection. */
export function refusesStartupParameters(error: unknown): boolean {
  const { code, message = '' } = driverError(error) ?? {}
  return code === '08P01' && message.includes('startup parameter')
}

interface DriverError {
  readonly code: string
  readonly severity?: string
  readonly message?: string
}

/** The error with a code at the bottom of what was wrapped around it. */
function driverError(error: unknown): DriverError | undefined {
  const { code, cause } = (error ?? {}) as { code?: unknown; cause?: unknown }
  if (!(error instanceof AppError) && typeof code === 'string') return error as DriverError
  return cause === undefined ? undefined : driverError(cause)
}

/** The unique index or constraint that refused a row (23505); undefined for all else. */
export function violatedConstraint(error: unknown): string | undefined {
  const {
    code,
    constraint_name: name,
    cause,
  } = (error ?? {}) as { code?: unknown; constraint_name?: string; cause?: unknown }
  if (code === '23505') return name
  return cause === undefined ? undefined : violatedConstraint(cause)
}

/** True for an error that came from the server: five characters of SQLSTATE, as against ECONNREFUSED. */
function isSqlState(code: string): boolean {
  return /^[0-9A-Z]{5}$/.test(code) && /\d/.test(code)
}

function isCertificateProblem(code: string): boolean {
  return /CERT|^ERR_TLS|^UNABLE_TO_/.test(code)
}
