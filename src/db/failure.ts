import { AppError } from '../error.ts'

/** SQLSTATEs with which PostgreSQL refuses us for good: password, role, database name, privileges. */
const refusals: Readonly<Record<string, string>> = {
  '28P01': 'The database refused the user name or password in DATABASE_URL (28P01): correct it and start again.',
  '28000':
    'The database does not let the role in DATABASE_URL in (28000): check the role, its LOGIN right and pg_hba.conf.',
  '3D000': 'The database named in DATABASE_URL does not exist (3D000): create it (createdb NAME) or correct the name.',
  '42P07':
    'The database has a table or view already whose name AuditTrail needs (42P07): give AuditTrail a database or schema of its own.',
  '42501':
    'The role in DATABASE_URL lacks a privilege that migrating needs (42501): grant it CREATE on the schema, or run "audittrail migrate" as the owner.',
}

/**
 * Classes 08 and 57 (connection, shutdown, starting up), 53 (too many connections, memory, disk), 58 (I/O); and a table or
 * column that is not there yet, since a replica may be asked while another one still migrates.
 */
const transient = /^(08|53|57|58|42P01|42703)/

/** Milliseconds that one operation may take, waiting for a connection included. */
const operationDeadline = 5000

/**
 * Runs one database operation; whatever goes wrong comes out as an AppError that carries no SQL and no parameter. Past the
 * deadline it is `unavailable`: a server that is frozen answers nothing, and its time limits neither.
 */
export async function guarded<T>(operation: () => PromiseLike<T>): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(
    () => reject(new AppError('unavailable', 'The database did not answer in time.')),
    operationDeadline,
  )
  try {
    return await Promise.race([operation(), late])
  } catch (error) {
    throw databaseFailure(error)
  } finally {
    clearTimeout(timer)
  }
}

/** The same for work that takes as long as it takes: migrations. */
export async function guardedWithoutDeadline<T>(operation: () => PromiseLike<T>): Promise<T> {
  try {
    return await operation()
  } catch (error) {
    throw databaseFailure(error)
  }
}

/** `refused` for what only a person can mend, `unavailable` for what may pass, `internal` for the rest. */
export function databaseFailure(error: unknown): AppError {
  if (error instanceof AppError) return error
  const code = errorCode(error)
  const refusal = refusals[code]
  if (refusal) return new AppError('refused', refusal, { cause: error })
  if (isCertificateProblem(code)) {
    return new AppError(
      'refused',
      `The TLS certificate of the database cannot be trusted (${code}): check sslmode and sslrootcert in DATABASE_URL.`,
    )
  }
  if (isSqlState(code) && !transient.test(code)) {
    return new AppError('internal', `The database answered with an error (SQLSTATE ${code}).`, { cause: error })
  }
  return new AppError('unavailable', `The database cannot be reached (${code || 'no reason given'}).`, { cause: error })
}

/** The SQLSTATE or the system's error code. Drizzle wraps the driver's error, with SQL and parameters in its message. */
function errorCode(error: unknown): string {
  const { code, cause } = (error ?? {}) as { code?: unknown; cause?: unknown }
  if (typeof code === 'string') return code
  return cause === undefined ? '' : errorCode(cause)
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
