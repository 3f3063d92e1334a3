/** Parameters of DATABASE_URL that have an effect. */
const effectiveParameters = [
  'host',
  'hostaddr',
  'port',
  'user',
  'dbname',
  'password',
  'sslmode',
  'ssl',
  'sslaccept',
  'sslrootcert',
  'options',
  'keepalives',
  'keepalives_idle',
  'keepalives_interval',
  'keepalives_count',
  'tcp_user_timeout',
  'pgbouncer',
  'target_session_attrs',
]

/**
 * Parameters of libpq, other drivers and hosting providers that have no effect here: AuditTrail
 * has its own limits, pool and encoding.
 */
export const ignoredParameters: readonly string[] = [
  // libpq
  'application_name',
  'channel_binding',
  'client_encoding',
  'connect_timeout',
  'fallback_application_name',
  'gssdelegation',
  'gssencmode',
  'gsslib',
  'krbsrvname',
  'load_balance_hosts',
  'sslcompression',
  'sslnegotiation',
  'sslsni',
  // Prisma
  'connection_limit',
  'max_connection_lifetime',
  'max_idle_connection_lifetime',
  'pool_timeout',
  'single_use_connections',
  'socket_timeout',
  'statement_cache_size',
  // Supabase and its templates
  'supa',
  'workaround',
  // node-postgres and postgres.js
  'allowExitOnIdle',
  'backoff',
  'binary',
  'connectionTimeoutMillis',
  'encoding',
  'fetch_types',
  'idleTimeoutMillis',
  'idle_in_transaction_session_timeout',
  'idle_timeout',
  'keepAlive',
  'keepAliveInitialDelayMillis',
  'keep_alive',
  'lock_timeout',
  'max',
  'max_lifetime',
  'min',
  'prepare',
  'query_timeout',
  'statement_timeout',
  'uselibpqcompat',
  // asyncpg, psycopg and SQLAlchemy
  'async_fallback',
  'command_timeout',
  'max_cached_statement_lifetime',
  'max_cacheable_statement_size',
  'prepared_statement_cache_size',
  'prepared_statement_name_func',
  'timeout',
]

const noClientCertificates =
  'is not supported: AuditTrail signs in with a password (for the certificate of an authority, use sslrootcert)'
const nameSchema = 'is not supported: write options=-c%20search_path%3DNAME instead'
const noFiles = 'is not supported: write the connection into DATABASE_URL, or a file named by DATABASE_URL_FILE'
const notImplemented = 'is not supported'

/** Parameters that must not be ignored, because the connection would be another or less secure. */
const unsupportedParameters: Readonly<Record<string, string>> = {
  sslcert: noClientCertificates,
  sslkey: noClientCertificates,
  sslpassword: noClientCertificates,
  sslidentity: noClientCertificates,
  sslcertmode: noClientCertificates,
  scram_client_key: noClientCertificates,
  scram_server_key: noClientCertificates,
  schema: nameSchema,
  search_path: nameSchema,
  currentSchema: nameSchema,
  passfile: noFiles,
  service: noFiles,
  servicefile: noFiles,
  direct_tls: notImplemented,
  max_protocol_version: notImplemented,
  min_protocol_version: notImplemented,
  oauth_client_id: notImplemented,
  oauth_client_secret: notImplemented,
  oauth_issuer: notImplemented,
  oauth_scope: notImplemented,
  replication: notImplemented,
  require_auth: notImplemented,
  requirepeer: notImplemented,
  ssl_max_protocol_version: notImplemented,
  ssl_min_protocol_version: notImplemented,
  sslcrl: notImplemented,
  sslcrldir: notImplemented,
  sslkeylogfile: notImplemented,
}

/** `public` is in every search path by default. */
const schemaParameters = ['schema', 'search_path', 'currentSchema']

/** Values of `target_session_attrs` that mean a primary. */
const primaryAttributes = ['any', 'read-write', 'primary']
const primaryOnly =
  'must set target_session_attrs to any, read-write or primary, which all mean the primary: a standby takes no writes, and its sessions are stale'

/**
 * Returns why a parameter cannot be used, completing "DATABASE_URL …". Undefined if it can. Quotes
 * only names from a fixed list: after an unescaped ?, an unknown one may be part of a password.
 */
export function objectionTo(name: string, value: string): string | undefined {
  if (schemaParameters.includes(name) && value === 'public') return undefined
  if (name === 'target_session_attrs' && !primaryAttributes.includes(value)) return primaryOnly
  if (effectiveParameters.includes(name) || ignoredParameters.includes(name)) return undefined
  const reason = Object.hasOwn(unsupportedParameters, name) ? unsupportedParameters[name] : undefined
  if (reason !== undefined) return `must not use the parameter ${name}, which ${reason}`
  return `must use only the parameters ${effectiveParameters.join(', ')} (a ? in the password is percent-encoded as %3F)`
}
