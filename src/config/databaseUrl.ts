import type { TcpKeepalive } from '../system/tcpKeepalive.ts'
import { type DatabaseHost, type HostLists, matchHosts, splitAuthority, splitRepeatedHosts } from './databaseHosts.ts'
import { ignoredParameters, objectionTo } from './databaseParameters.ts'

/**
 * A parsed DATABASE_URL, as written for libpq, SQLAlchemy (asyncpg, psycopg2) or Drizzle.
 * Source: PostgreSQL documentation, "Connection URIs" and "SSL Support".
 */
export interface DatabaseAddress extends DatabaseHost {
  /** The other hosts of a list, with the same login. Undefined for a single host. */
  readonly otherHosts?: readonly DatabaseAddress[]
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
 * Parses a URL such as `postgresql://user:password@host:5432/database?sslmode=verify-full`, with
 * one host or several. Throws an Error whose message completes "DATABASE_URL …". It never quotes
 * the URL, which may contain a password, except for its scheme.
 */
export function parseDatabaseUrl(text: string): DatabaseAddress {
  const url = splitUrl(text)
  const query = readQuery(url.query)
  const username = query.get('user') || decode(url.username, 'username') || 'postgres'
  const [options, sslrootcert] = [query.get('options'), query.get('sslrootcert')]
  const login = {
    database: query.get('dbname') || decode(url.path, 'database name') || username,
    username,
    password: query.get('password') || decode(url.password, 'password'),
    ...(sslrootcert === undefined || sslrootcert === 'system' || isUnverified(query) ? {} : { sslrootcert }),
    ...(options === undefined ? {} : { options }),
    ...readKeepalive(query),
    ...(query.has('pgbouncer') ? { isPooled: readSwitch(query, 'pgbouncer') } : {}),
  }
  const [first, ...others] = matchHosts(readHostLists(url, query)).map((host) => ({
    ...host,
    ...login,
    sslmode: host.socketDirectory ? 'disable' : readSslMode(query, loopback.includes(host.hostaddr ?? host.host)),
  })) as [DatabaseAddress, ...DatabaseAddress[]]
  return others.length === 0 ? first : { ...first, otherHosts: others }
}

/** Returns every host of a list, in its order. */
export function listAddresses({ otherHosts = [], ...first }: DatabaseAddress): readonly DatabaseAddress[] {
  return [first, ...otherHosts]
}

/** As in libpq, a parameter takes precedence over the hosts before the `?`. */
function readHostLists({ authority, isSqlAlchemy, query: text }: UrlParts, query: Map<string, string>): HostLists {
  const { hosts, ports } = splitAuthority(authority)
  const repeated = isSqlAlchemy ? splitRepeatedHosts(readValues(text, 'host')) : undefined
  if (repeated && query.has('port')) throw new Error('must not mix host=HOST:PORT with port')
  return {
    hosts: repeated?.hosts ?? query.get('host') ?? decode(hosts, 'host'),
    hostaddrs: query.get('hostaddr') ?? '',
    ports: repeated?.ports ?? query.get('port') ?? decode(ports, 'port'),
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

/** Percent-encoded. */
interface UrlParts {
  readonly isSqlAlchemy: boolean
  readonly username: string
  readonly password: string
  readonly authority: string
  readonly path: string
  readonly query: string
}

/** `URL` takes no list of hosts. */
function splitUrl(text: string): UrlParts {
  const scheme = schemes.find((candidate) => text.startsWith(`${candidate}//`))
  if (!scheme) throw new Error(`must start with postgres:// or postgresql://${mistakeIn(text)}`)
  if (/[\t\n\r]/.test(text)) throw new Error('must percent-encode tabs and line breaks (%09, %0A, %0D)')
  const rest = text.slice(scheme.length + 2)
  const [, beforePath = '', path = '', query = ''] = /^([^/?#]*)(?:\/([^?#]*))?(?:\?([^#]*))?/s.exec(rest) ?? []
  // After an unescaped delimiter, the rest of a password would be taken for a path or a query.
  if (path.includes('@')) throw new Error(unescaped)
  const end = beforePath.lastIndexOf('@')
  const [, username = '', password = ''] = /^([^:]*):?(.*)$/s.exec(beforePath.slice(0, Math.max(end, 0))) ?? []
  const authority = beforePath.slice(end + 1)
  splitAuthority(authority)
  if (rest.includes('#')) throw new Error(unescaped)
  return { isSqlAlchemy: scheme.includes('+'), username, password, authority, path, query }
}

/** Describes the text in place of the scheme. Quotes no more: it may be part of a password. */
function mistakeIn(text: string): string {
  if (text.trim() === '') return ' (it is blank)'
  if (/^\s*["'`]/.test(text)) return ' (remove the quotes)'
  if (/^\s/.test(text)) return ' (remove the space before it)'
  const [scheme] = /^(?:jdbc:)?[a-z][a-z0-9+]{1,19}:\/\//.exec(text) ?? []
  return scheme ? ` (got ${scheme})` : ''
}

/** Like libpq, takes + literally, and the last value of a repeated parameter. */
function readQuery(text: string): Map<string, string> {
  const query = new Map<string, string>()
  for (const [name, value] of readPairs(text)) {
    const objection = objectionTo(name, value)
    if (objection) throw new Error(objection)
    if (!ignoredParameters.includes(name)) query.set(name, value)
  }
  return query
}

function readValues(text: string, name: string): string[] {
  return readPairs(text).flatMap(([each, value]) => (each === name ? [value] : []))
}

function readPairs(text: string): (readonly [name: string, value: string])[] {
  const pairs = text.split('&').filter(Boolean)
  return pairs.map((pair) => {
    const [, name = '', value = ''] = /^([^=]*)=?(.*)$/s.exec(pair) ?? []
    const decoded = decode(name, 'query')
    // The value of an ignored parameter may be invalid.
    return [decoded, ignoredParameters.includes(decoded) ? value : decode(value, 'query')]
  })
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
