import type { TcpKeepalive } from '../system/tcpKeepalive.ts'
import { ignoredParameters, objectionTo } from './databaseParameters.ts'

/**
 * A parsed DATABASE_URL, as written for libpq, SQLAlchemy (asyncpg, psycopg2) or Drizzle.
 * Source: PostgreSQL documentation, "Connection URIs" and "SSL Support".
 */
export interface DatabaseAddress {
  readonly host: string
  readonly port: number
  /** Directory of a Unix socket, used instead of host and port. */
  readonly socketDirectory?: string
  readonly database: string
  readonly username: string
  readonly password: string
  readonly sslmode: SslMode
  /** PEM file of CA certificates. Undefined: the system's. */
  readonly sslrootcert?: string
  /** libpq's `options`, sent when a connection opens. */
  readonly options?: string
  /** libpq's `keepalives`, `keepalives_*` and `tcp_user_timeout`. Undefined if none is given. */
  readonly keepalive?: TcpKeepalive | 'off'
  /** Whether a transaction pooler such as PgBouncer is in between. Undefined: detected. */
  readonly isPooled?: boolean
}

export const sslModes = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'] as const
export type SslMode = (typeof sslModes)[number]

const schemes = ['postgresql:', 'postgres:', 'postgresql+asyncpg:', 'postgresql+psycopg2:', 'postgresql+psycopg:']
const loopback = ['localhost', '127.0.0.1', '::1']

/**
 * Parses a URL such as `postgresql://user:password@host:5432/database?sslmode=verify-full`. Throws
 * an Error whose message completes "DATABASE_URL …". It never quotes the URL, which may contain a
 * password, except for its scheme.
 */
export function parseDatabaseUrl(text: string): DatabaseAddress {
  const url = parseUrl(text)
  const query = readQuery(url)
  const host = decode(url.hostname, 'host').replace(/^\[|\]$/g, '')
  const address = host === '' || query.has('host') ? (query.get('host') ?? 'localhost') : host
  const isSocket = address.startsWith('/')
  const username = decode(url.username, 'username') || query.get('user') || 'postgres'
  const [options, sslrootcert] = [query.get('options'), query.get('sslrootcert')]
  return {
    host: isSocket ? 'localhost' : address,
    port: readPort(url.port || query.get('port') || '5432'),
    ...(isSocket ? { socketDirectory: address } : {}),
    database: decode(url.pathname.slice(1), 'database name') || query.get('dbname') || username,
    username,
    password: decode(url.password, 'password') || query.get('password') || '',
    sslmode: isSocket ? 'disable' : readSslMode(query, loopback.includes(address)),
    ...(sslrootcert === undefined || sslrootcert === 'system' || isUnverified(query) ? {} : { sslrootcert }),
    ...(options === undefined ? {} : { options }),
    ...readKeepalive(query),
    ...(query.has('pgbouncer') ? { isPooled: readSwitch(query, 'pgbouncer') } : {}),
  }
}

function readSwitch(query: Map<string, string>, name: string): boolean {
  const text = query.get(name)
  if (text !== 'true' && text !== 'false') throw new Error(`must set ${name} to true or false`)
  return text === 'true'
}

/** libpq's parameters, and what they set. */
const keepaliveParameters = {
  keepalives_idle: 'idle',
  keepalives_interval: 'interval',
  keepalives_count: 'count',
  tcp_user_timeout: 'userTimeout',
} as const

function readKeepalive(query: Map<string, string>): Pick<DatabaseAddress, 'keepalive'> {
  const given = Object.entries(keepaliveParameters).flatMap(([parameter, name]) => {
    const text = query.get(parameter)
    // Like libpq: 0 and less mean the system's value.
    return text === undefined ? [] : [[name, Math.max(0, readInteger(parameter, text))] as const]
  })
  const isOn = query.get('keepalives')
  if (isOn !== undefined && readInteger('keepalives', isOn) === 0) return { keepalive: 'off' }
  return given.length > 0 || isOn !== undefined ? { keepalive: Object.fromEntries(given) } : {}
}

function readInteger(parameter: string, text: string): number {
  if (!/^-?\d{1,9}$/.test(text)) throw new Error(`must set ${parameter} to a whole number`)
  return Number(text)
}

const unescaped =
  'must percent-encode / ? # in the username and password (write them as %2F, %3F and %23), and contain no # elsewhere'

function readPort(text: string): number {
  if (!/^\d{1,5}$/.test(text) || Number(text) < 1 || Number(text) > 65535)
    throw new Error('must have a port from 1 to 65535')
  return Number(text)
}

function parseUrl(text: string): URL {
  const scheme = schemes.find((candidate) => text.startsWith(`${candidate}//`))
  if (!scheme) throw new Error(`must start with postgres:// or postgresql://${mistakeIn(text)}`)
  // URL would drop them.
  if (/[\t\n\r]/.test(text)) throw new Error('must percent-encode tabs and line breaks (%09, %0A, %0D)')
  // URL parses every accepted scheme alike once it is replaced by one. It requires a host; libpq
  // defaults to localhost.
  const rest = text.slice(scheme.length + 2)
  const withHost = /^([^/?#]*@)?(?=[/?#]|$)/.test(rest) ? rest.replace(/^([^/?#]*@)?/, '$1localhost') : rest
  // After an unescaped delimiter, the rest of a password would be taken for a path or a query.
  const [, delimited = ''] = /^[^/?#]*(?:\/([^?#]*))?/.exec(rest) ?? []
  if (delimited.includes('@')) throw new Error(unescaped)
  if (!URL.canParse(`postgresql://${withHost}`)) {
    throw new Error(
      'must have the form postgresql://USER:PASSWORD@HOST:PORT/DATABASE (in the username and password, percent-encode @ : / ? # % as %40 %3A %2F %3F %23 %25)',
    )
  }
  const url = new URL(`postgresql://${withHost}`)
  if (url.hostname.includes(',')) throw new Error('must name a single host')
  if (url.hash || rest.includes('#')) throw new Error(unescaped)
  return url
}

/** Returns what stands there instead of a scheme. Never more, since it may be part of a password. */
function mistakeIn(text: string): string {
  if (text.trim() === '') return ' (it is blank)'
  if (/^\s*["'`]/.test(text)) return ' (remove the quotes)'
  if (/^\s/.test(text)) return ' (remove the space before it)'
  const [scheme] = /^(?:jdbc:)?[a-z][a-z0-9+]{1,19}:\/\//.exec(text) ?? []
  return scheme ? ` (got ${scheme})` : ''
}

/** Like libpq, takes + literally. */
function readQuery(url: URL): Map<string, string> {
  const query = new Map<string, string>()
  for (const pair of url.search.slice(1).split('&').filter(Boolean)) {
    const [, rawName = '', rawValue = ''] = /^([^=]*)=?(.*)$/s.exec(pair) ?? []
    const name = decode(rawName, 'query')
    if (ignoredParameters.includes(name)) continue
    const value = decode(rawValue, 'query')
    const objection = objectionTo(name, value)
    if (objection) throw new Error(objection)
    query.set(name, value)
  }
  return query
}

/** node-postgres's `no-verify`, whatever root certificate is given. */
function isUnverified(query: Map<string, string>): boolean {
  return (query.get('sslmode') ?? query.get('ssl')) === 'no-verify'
}

/** Other spellings: of asyncpg (`ssl`), node-postgres and JDBC. */
const sslModeNames: Readonly<Record<string, SslMode>> = {
  true: 'require',
  '1': 'require',
  'no-verify': 'require',
  false: 'disable',
  '0': 'disable',
}

function readSslMode(query: Map<string, string>, isLocal: boolean): SslMode {
  const text = query.get('sslmode') ?? query.get('ssl')
  const mode = sslModes.find((candidate) => candidate === text) ?? sslModeNames[text ?? '']
  if (text !== undefined && mode === undefined) throw new Error(`must set sslmode to one of ${sslModes.join(', ')}`)
  // As in libpq, sslrootcert=system implies verify-full.
  if (query.get('sslrootcert') === 'system') {
    if (mode !== undefined && mode !== 'verify-full')
      throw new Error('must set sslmode=verify-full with sslrootcert=system')
    return 'verify-full'
  }
  // Prisma's: `strict` verifies the certificate and the host name.
  const accept = query.get('sslaccept')
  if (accept !== undefined && accept !== 'strict' && accept !== 'accept_invalid_certs')
    throw new Error('must set sslaccept to strict or accept_invalid_certs')
  if (accept === 'strict' && mode !== 'disable') return 'verify-full'
  // libpq's default is `prefer`. On loopback, TLS only costs time.
  return mode ?? (isLocal ? 'allow' : 'prefer')
}

function decode(text: string, part: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw new Error(`must have a percent-encoded ${part} (write % as %25)`)
  }
}
