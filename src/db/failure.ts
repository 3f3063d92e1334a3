import { AppError } from '../error.ts'
import { type DriverError, fullPoolerSetting, refusalText, schemaChanged, unavailableText } from './advice.ts'

/**
 * Errors that may pass: connection, resources, shutdown and I/O (08, 53, 57, 58), read-only after a
 * failover, idle transactions, locks, and unknown statements behind a pooler (26000, 42P05).
 */
const transient = /^(08|53|57|58|25006|25P03|25P04|26000|42P05|55P03)/

/** The transaction was rolled back because of a concurrent one: serialization failure, deadlock. */
const concurrency = /^(40001|40P01)$/

/**
 * Error codes of the driver, the socket and name resolution: CONNECTION_CLOSED, ECONNRESET,
 * EAI_AGAIN.
 */
const unreachable = /^(CONNECTION_|CONNECT_TIMEOUT$|E[A-Z]+(_[A-Z]+)?$)/

/** Runs one database operation. Throws only an AppError without SQL and parameters. */
export async function guarded<T>(operation: () => PromiseLike<T>): Promise<T> {
  try {
    return await operation()
  } catch (error) {
    throw databaseFailure(error)
  }
}

/**
 * Returns `refused` if only an operator can fix it, `unavailable` if it may pass, else `internal`.
 */
export function databaseFailure(error: unknown): AppError {
  if (error instanceof AppError) return error
  const known = driverError(error) ?? { code: '' }
  const { code } = known
  const refusal = refusalText(known)
  if (refusal) return new AppError('refused', refusal, { cause: error })
  if (isCertificateProblem(code)) {
    const advice =
      code === 'ERR_TLS_CERT_ALTNAME_INVALID'
        ? 'It is for another host name: use the name that is in the certificate, or sslmode=verify-ca.'
        : 'Check sslmode and sslrootcert in DATABASE_URL.'
    return new AppError('refused', `The TLS certificate of the database is not trusted (${code}). ${advice}`)
  }
  if (concurrency.test(code)) {
    return new AppError('unavailable', `Concurrent changes kept the database from completing this one (${code}).`, {
      cause: error,
    })
  }
  // Another replica may still be migrating the schema.
  if (isSqlState(code) ? transient.test(code) || schemaChanged.test(code) : unreachable.test(code)) {
    return new AppError('unavailable', unavailableText(known), { cause: error })
  }
  const message = isSqlState(code) ? `The database returned an error (SQLSTATE ${code}).` : 'unexpected'
  return new AppError('internal', message, { cause: error })
}

/** Names the database in the message, which never becomes part of a response. */
export function located(failure: AppError, label: string | undefined): AppError {
  const { code, message } = failure
  const isOfDatabase = code === 'unavailable' || code === 'refused'
  return isOfDatabase && label !== undefined && !message.includes(label)
    ? new AppError(code, `${message} Database: ${label}.`, { cause: failure })
    : failure
}

/** Returns whether the error comes from the driver, the socket or the server. */
export function isDriverFailure(failure: AppError): boolean {
  return driverError(failure) !== undefined
}

/**
 * Returns whether the connection is unusable: ended by the server, broken, or to a read-only
 * server.
 */
export function endsConnection(error: AppError): boolean {
  const { code, severity } = driverError(error) ?? {}
  if (code === undefined) return false
  return severity === 'FATAL' || severity === 'PANIC' || affectsAll.test(code) || unreachable.test(code)
}

/** The server is read-only, or it is another one behind the same pooler. */
const affectsAll = /^(25006|CONNECTION_SERVER_CHANGED)$/

/**
 * Returns whether nothing of a failed operation was committed: the server or this process rejected
 * it. Otherwise the response to COMMIT may be what was lost.
 */
export function isRolledBack(error: unknown): boolean {
  const { code, severity } = driverError(error) ?? {}
  if (code !== undefined) return isSqlState(code) && severity !== 'FATAL' && severity !== 'PANIC'
  return error instanceof AppError && error.code !== 'unavailable' && error.code !== 'internal'
}

/** Returns whether all other connections are unusable too. */
export function endsAllConnections(error: AppError): boolean {
  return affectsAll.test(driverError(error)?.code ?? '')
}

/** The error of a connection whose pooler has moved to another server. */
export function serverChanged(): AppError {
  const cause = Object.assign(new Error('server changed'), { code: 'CONNECTION_SERVER_CHANGED' })
  return new AppError('unavailable', 'The connection pooler now uses another server.', { cause })
}

/** The error of a result from a server that is not the primary any more. */
export function connectionFenced(): AppError {
  const cause = Object.assign(new Error('connection fenced'), { code: 'CONNECTION_FENCED' })
  return new AppError('unavailable', 'The response came from a server that is not the primary any more.', { cause })
}

/** The error of a change that is committed, but would be lost in a failover. */
export function unreplicated(): AppError {
  return new AppError(
    'unavailable',
    'A change is not on a synchronous standby, because the wait for one was canceled. Check synchronous_standby_names.',
  )
}

/** Returns whether nothing was changed because of a concurrent transaction. */
export function lostToConcurrency(error: unknown): boolean {
  return concurrency.test(driverError(error)?.code ?? '')
}

/**
 * Returns whether the server ended a statement by its limit on waiting for a lock, or on its time.
 */
export function waitedTooLong(error: unknown): boolean {
  return /^(55P03|57014)$/.test(driverError(error)?.code ?? '')
}

/**
 * Returns whether the server, the database, the role (53300) or a pooler has no connection left.
 */
export function reachesConnectionLimit(error: AppError): boolean {
  const known = driverError(error)
  return known !== undefined && (known.code === '53300' || fullPoolerSetting(known) !== undefined)
}

/** Returns whether the role lacks a privilege. */
export function lacksPrivilege(error: unknown): boolean {
  return driverError(error)?.code === '42501'
}

/** Returns whether a pooler (PgBouncer) rejected startup parameters. */
export function refusesStartupParameters(error: unknown): boolean {
  const { code, message = '' } = driverError(error) ?? {}
  return code === '08P01' && message.includes('startup parameter')
}

/** Returns the innermost error that has a code. */
export function driverError(error: unknown): DriverError | undefined {
  const { code, cause } = (error ?? {}) as { code?: unknown; cause?: unknown }
  if (!(error instanceof AppError) && typeof code === 'string') return error as DriverError
  return cause === undefined ? undefined : driverError(cause)
}

/** Returns whether the code is a SQLSTATE of the server, unlike ECONNREFUSED. */
function isSqlState(code: string): boolean {
  return /^[0-9A-Z]{5}$/.test(code) && /\d/.test(code)
}

function isCertificateProblem(code: string): boolean {
  return /CERT|^ERR_TLS|^UNABLE_TO_/.test(code)
}
