/**
 * What a DATABASE_URL says, in the spellings of libpq, SQLAlchemy (asyncpg, psycopg2) and Drizzle.
 * Source: PostgreSQL documentation, "Connection URIs" and "SSL Support".
 */
export interface DatabaseAddress {
  readonly host: string
  readonly port: number
  /** The directory of a unix socket, in place of host and port. */
  readonly socketDirectory?: string
  readonly database: string
  readonly username: string
  readonly password: string
  readonly sslmode: SslMode
  /** A file of CA certificates in PEM; undefined means the well-known ones. */
  readonly sslrootcert?: string
  /** libpq's `options`, sent when a connection starts. */
  readonly options?: string
  /** Behind a pooler that hands a session to others between two transactions; undefined: whatever the server shows. */
  readonly isPooled?: boolean
}

export const sslModes = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'] as const
export type SslMode = (typeof sslModes)[number]

const schemes = ['postgresql:', 'postgres:', 'postgresql+asyncpg:', 'postgresql+psycopg2:', 'postgresql+psycopg:']
const loopback = ['localhost', '127.0.0.1', '::1']

/**
 * Reads a URL such as `postgresql://user:password@host:5432/database?sslmode=verify-full`.
 * Throws an Error whose message says what is wrong and never holds any part of the URL: it may carry a password.
 */
export function parseDatabaseUrl(text: string): DatabaseAddress {
  const url = parseUrl(text)
  const query = readQuery(url)
  const host = decode(url.hostname, 'host').replace(/^\[|\]$/g, '')
  const place = host === '' || query.has('host') ? (query.get('host') ?? 'localhost') : host
  const isSocket = place.startsWith('/')
  const username = decode(url.username, 'user name') || query.get('user') || 'postgres'
  const [options, sslrootcert] = [query.get('options'), query.get('sslrootcert')]
  return {
    host: isSocket ? 'localhost' : place,
    port: readPort(url.port || query.get('port') || '5432'),
    ...(isSocket ? { socketDirectory: place } : {}),
    database: decode(url.pathname.slice(1), 'database name') || query.get('dbname') || username,
    username,
    password: decode(url.password, 'password') || query.get('password') || '',
    sslmode: isSocket ? 'disable' : readSslMode(query, loopback.includes(place)),
    ...(sslrootcert === undefined || sslrootcert === 'system' ? {} : { sslrootcert }),
    ...(options === undefined ? {} : { options }),
    ...(query.has('pgbouncer') ? { isPooled: readSwitch(query, 'pgbouncer') } : {}),
  }
}

function readSwitch(query: Map<string, string>, name: string): boolean {
  const text = query.get(name)
  if (text !== 'true' && text !== 'false') throw new Error(`a URL whose ${name} is true or false`)
  return text === 'true'
}

function readPort(text: string): number {
  if (!/^\d{1,5}$/.test(text) || Number(text) < 1 || Number(text) > 65535)
    throw new Error('a URL whose port is a number from 1 to 65535')
  return Number(text)
}

function parseUrl(text: string): URL {
  const scheme = schemes.find((candidate) => text.startsWith(`${candidate}//`))
  if (!scheme) throw new Error('a URL that begins with postgresql://')
  // A scheme that URL knows as hierarchical, so that host, port and user are taken apart in every spelling.
  // URL wants a host; libpq takes none, and then means the local server.
  const rest = text.slice(scheme.length + 2)
  const withHost = /^([^/?#]*@)?(?=[/?#]|$)/.test(rest) ? rest.replace(/^([^/?#]*@)?/, '$1localhost') : rest
  if (!URL.canParse(`postgresql://${withHost}`)) {
    throw new Error(
      'a URL of the form postgresql://USER:PASSWORD@HOST:PORT/DATABASE (in user name and password, write @ : / ? # % as %40 %3A %2F %3F %23 %25)',
    )
  }
  const url = new URL(`postgresql://${withHost}`)
  if (url.hostname.includes(',')) throw new Error('a URL with one host: name the cluster by one address')
  if (url.hash) throw new Error('a URL without #: in a password, write it as %23')
  return url
}

const knownParameters = [
  'host',
  'port',
  'user',
  'dbname',
  'password',
  'sslmode',
  'ssl',
  'sslrootcert',
  'options',
  'pgbouncer',
]
/** Parameters of libpq, of other drivers and of providers' copy buttons that change nothing for us. */
const ignoredParameters = [
  'application_name',
  'channel_binding',
  'connect_timeout',
  'fallback_application_name',
  'gssencmode',
  'keepalives',
  'keepalives_count',
  'keepalives_idle',
  'keepalives_interval',
  'prepared_statement_cache_size',
  'target_session_attrs',
]

function readQuery(url: URL): Map<string, string> {
  const query = new Map<string, string>()
  for (const [name, value] of url.searchParams) {
    if (ignoredParameters.includes(name)) continue
    // Not named: behind a ? that should have been written as %3F, it is a piece of a password.
    if (!knownParameters.includes(name))
      throw new Error(`a URL whose parameters are among ${knownParameters.join(', ')}`)
    query.set(name, value)
  }
  return query
}

function readSslMode(query: Map<string, string>, isLocal: boolean): SslMode {
  // asyncpg writes `ssl`, libpq `sslmode`. As in libpq, the default is `prefer`; on this very host it would only cost time.
  const text = query.get('sslmode') ?? query.get('ssl')
  // As in libpq: who names the system's certificates wants them to be asked.
  if (query.get('sslrootcert') === 'system') {
    if (text !== undefined && text !== 'verify-full')
      throw new Error('a URL that has sslmode=verify-full beside sslrootcert=system')
    return 'verify-full'
  }
  if (text === undefined) return isLocal ? 'disable' : 'prefer'
  if (text === 'true') return 'require'
  if (text === 'false') return 'disable'
  const mode = sslModes.find((candidate) => candidate === text)
  if (!mode) throw new Error(`a URL whose sslmode is one of ${sslModes.join(', ')}`)
  return mode
}

function decode(text: string, part: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw new Error(`a URL whose ${part} is percent-encoded (write % as %25)`)
  }
}
