import { namesIn } from './tables.ts'

/** What the driver, the socket or the server reports. */
export interface DriverError {
  readonly code: string
  readonly severity?: string
  readonly message?: string
  /** The function of the server that reports it. */
  readonly routine?: string
  /** The functions of the database that were running, such as a trigger's. */
  readonly where?: string
  readonly column_name?: string
  readonly constraint_name?: string
  readonly table_name?: string
}

export const discardedEventText =
  'The database discarded an event of the audit log, so the change was not made. Check the triggers and rules of the table audittrail_audit_pending.'

/** Errors that only an operator can fix: password, role, database name, privileges, damage. */
const refusals: Readonly<Record<string, string>> = {
  '28P01': 'PostgreSQL rejected the username or password in DATABASE_URL (28P01). Correct it and start again.',
  '28000':
    'PostgreSQL does not allow the role in DATABASE_URL to sign in (28000). Check that it exists and has LOGIN, and that pg_hba.conf has a line for its address, database and use of TLS (sslmode).',
  '3D000': 'The database in DATABASE_URL does not exist (3D000). Create it (createdb NAME) or correct the name.',
  '3F000':
    'The role in DATABASE_URL can use no schema of its search path (3F000). Create the schema or grant USAGE on it. "audittrail adopt --check" prints the SQL.',
  '42P07':
    'The database already has a table or view with a name that AuditTrail needs (42P07). Give AuditTrail its own database or schema.',
  SASL_SIGNATURE_MISMATCH:
    'The server at the address in DATABASE_URL does not know the password of the role. Check that it is the right server.',
  XX001: 'Data in the database is damaged (XX001). Restore a backup.',
  XX002: 'An index in the database is damaged (XX002). Rebuild it with REINDEX, or restore a backup.',
}

/** Returns what an operator must do about the error. Undefined if it may pass, or is a bug. */
export function refusalText(error: DriverError): string | undefined {
  const { code, severity, routine } = error
  if (code === '42501') return privilegeText(error)
  // Nothing else divides: see `eventCheck`. A rule makes a change with its event impossible.
  if (code === '22012' || (code === '0A000' && routine === 'RewriteQuery')) return discardedEventText
  // While a connection opens, these are about its parameters.
  if (severity === 'FATAL' && ['22023', '42601', '42704'].includes(code))
    return `PostgreSQL rejected a startup parameter (${code}). Correct "options" in DATABASE_URL.`
  return Object.hasOwn(refusals, code) ? refusals[code] : undefined
}

/** Told apart by the server's function, since its messages may be translated. */
function privilegeText({ routine = '', message = '' }: DriverError): string {
  if (routine === 'CheckMyDatabase')
    return 'The role in DATABASE_URL lacks the privilege CONNECT on the database (42501). Grant it.'
  if (routine === 'InitTempTableNamespace')
    return 'The role in DATABASE_URL lacks the privilege TEMPORARY on the database, which "audittrail import" needs (42501). Grant it, or import as the owner.'
  const [table] = namesIn(message)
  const rowSecurity = `row-level security on the table ${table ?? 'users'}`
  if (['ExecWithCheckOptions', 'check_enable_rls'].includes(routine))
    return `The role in DATABASE_URL is subject to ${rowSecurity} (42501). Give it BYPASSRLS, or a policy for all rows.`
  const object = table === undefined ? 'the schema or a table' : `the table ${table}`
  return `The role in DATABASE_URL lacks a privilege on ${object} (42501). "audittrail adopt --check" prints the GRANT. To migrate, use the owner of the tables.`
}

/** What an operator should check if an error does not pass. */
const unavailability: readonly (readonly [RegExp, string])[] = [
  [/^ECONNREFUSED$/, 'Check the host and port in DATABASE_URL, and that PostgreSQL is running.'],
  [/^(ENOTFOUND|EAI_\w+|ENODATA|ESERVFAIL)$/, 'Check the name of the host in DATABASE_URL.'],
  [/^(ENOENT|EACCES|ENOTSOCK|ENOTDIR)$/, 'Check the socket directory and port in DATABASE_URL.'],
  [/^(ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|EHOSTDOWN)$/, 'Check the host in DATABASE_URL, the network and firewalls.'],
  [/^(CONNECTION_CLOSED|ECONNRESET|EPIPE)$/, 'It closed the connection. Check its log, and the port in DATABASE_URL.'],
  [/^(53300|53400)$/, 'It has too many connections: raise its limit, or lower DATABASE_POOL_SIZE.'],
  [/^53100$/, 'Its disk is full.'],
  [/^57P03$/, 'It is starting up, shutting down or recovering.'],
]

/**
 * Returns the setting of PgBouncer whose limit rejected a connection. Undefined for other errors.
 */
export function fullPoolerSetting({ code, message = '' }: DriverError): string | undefined {
  return code === '08P01' ? /\b(max_client_conn|max_(db|user)_client_connections)\b/.exec(message)?.[0] : undefined
}

/**
 * A table (42P01), column (42703) or unique index (42P10) is missing, or a column has another type
 * (42804, 42883).
 */
export const schemaChanged = /^(42P01|42703|42P10|42804|42883)$/

/** Returns the message for an error that may pass. */
export function unavailableText(error: DriverError): string {
  const { code, message = '', where } = error
  if (schemaChanged.test(code)) {
    if (where?.includes('function')) return `A trigger of the database fails (${code}). Correct or drop it.`
    const found = namesIn(message)
    const names = found.length > 0 ? `: ${found.join(', ')}` : ''
    return `The schema was changed: a table, column or index of AuditTrail is missing or different (${code}${names}). Restore it, for example from a backup.`
  }
  if (code === '55P03' || code === '57014')
    return `A statement took too long, perhaps because of a lock of another transaction (${code}).`
  const setting = fullPoolerSetting(error)
  if (setting)
    return `The database cannot be reached (${code}). PgBouncer has too many clients: raise its ${setting}, or lower DATABASE_POOL_SIZE.`
  const [, advice] = unavailability.find(([codes]) => codes.test(code)) ?? []
  return `The database cannot be reached (${code}).${advice === undefined ? '' : ` ${advice}`}`
}
