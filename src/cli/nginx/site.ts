import { isRole, maxRoles } from '../../domain/users/users.ts'
import { AppError } from '../../error.ts'

/** A path of the public name, and the service behind it. */
export interface Upstream {
  /** `/orders`, or `/` for all that is left. */
  readonly path: string
  /** `127.0.0.1:9000` */
  readonly server: string
  /** Any one of them opens it; none: every user. */
  readonly roles: readonly string[]
}

/** Everything that goes into the configuration. Each text has passed a pattern here that has no quote, space, `;`, `$` or brace in it. */
export interface Site {
  readonly serverName: string
  readonly listen: string | undefined
  readonly services: readonly string[]
  readonly upstreams: readonly Upstream[]
  readonly root: string | undefined
  readonly tls: { readonly certificate: string; readonly key: string } | undefined
  /** Seconds; undefined: every request is asked about. */
  readonly cache: number | undefined
  readonly basePath: string
}

export type SiteFlags = ReadonlyMap<string, readonly string[]>

const label = '[A-Za-z0-9](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?'
const hostName = `${label}(?:\\.${label})*`
const server = `(?:${hostName}|\\[[0-9A-Fa-f:.]{2,45}\\]):[0-9]{1,5}`
const serverNamePattern = new RegExp(`^${hostName}$`)
const servicePattern = new RegExp(`^${server}$`)
const upstreamPattern = new RegExp(`^(/[A-Za-z0-9._~/-]*)=http://(${server})/?(?::([a-z0-9_,-]+))?$`)
const listenPattern = /^(?:(?:[0-9.]{7,15}|\[[0-9A-Fa-f:.]{2,45}\]):)?[0-9]{1,5}$/
const filePattern = /^(?:\/[A-Za-z0-9_-][A-Za-z0-9._-]*)+$/
const cachePattern = /^[0-9]{1,2}$/
/** Seconds. Nginx counts whole ones, of which the first may be almost over: below two it keeps nothing. */
const [shortestCache, longestCache] = [2, 60]
const longestServerName = 253
/** Bytes; Nginx counts those of a location in one byte. */
const longestPath = 200

/** Reads the flags of `audittrail nginx`. Throws `usage`, naming the flag at fault and what it takes. */
export function readSite(flags: SiteFlags, { basePath, port }: { basePath: string; port: number }): Site {
  const one = (name: string) => flags.get(name)?.[0]
  const serverName = one('server-name') ?? ''
  if (!serverNamePattern.test(serverName) || serverName.length > longestServerName)
    throw usage('server-name', 'a host name such as app.example.com')
  const upstreams = (flags.get('upstream') ?? []).map((text) => readUpstream(text, basePath || defaultBase))
  const root = readFile('root', one('root'))
  const repeated = upstreams.find(({ path }, at) => upstreams.findIndex((other) => other.path === path) !== at)
  if (repeated) throw usage('upstream', 'each path once')
  if (root && upstreams.some(({ path }) => path === '/'))
    throw usage('root', 'no directory where an --upstream has the path /')
  return {
    serverName: serverName.toLowerCase(),
    listen: readListen(one('listen')),
    services: (flags.get('service') ?? [`127.0.0.1:${port}`]).map(readService),
    upstreams,
    root,
    tls: readTls(one('tls-certificate'), one('tls-key')),
    cache: readCache(one('cache')),
    basePath,
  }
}

/** Where the routes are for clients when BASE_PATH is empty, since Nginx strips it. */
export const defaultBase = '/api'

function readUpstream(text: string, base: string): Upstream {
  const [, given = '', address = '', words] = upstreamPattern.exec(text) ?? []
  const path = given === '/' ? given : given.replace(/\/$/, '')
  const segments = path.split('/').slice(1)
  const isPath =
    path === '/' ||
    (path !== '' && path.length <= longestPath && segments.every((word) => !['', '.', '..'].includes(word)))
  if (!isPath || !hasPort(address)) throw usage('upstream', '/PATH=http://HOST:PORT, and :ROLE,ROLE behind it')
  if ([base, '/.well-known', '/_audittrail'].some((own) => path === own || path.startsWith(`${own}/`)))
    throw usage('upstream', "a path that is none of AuditTrail's own")
  const roles = [...new Set(words?.split(','))]
  if (roles.length > maxRoles || !roles.every(isRole))
    throw usage('upstream', `up to ${maxRoles} roles, each of 1 to 32 of the characters a-z 0-9 _ -`)
  return { path, server: address, roles: roles.sort() }
}

function readService(text: string): string {
  if (!servicePattern.test(text) || !hasPort(text)) throw usage('service', 'HOST:PORT, where Nginx reaches AuditTrail')
  return text
}

function readListen(text: string | undefined): string | undefined {
  if (text !== undefined && (!listenPattern.test(text) || !hasPort(text))) throw usage('listen', 'PORT or ADDRESS:PORT')
  return text
}

function readTls(certificate: string | undefined, key: string | undefined): Site['tls'] {
  if (certificate === undefined && key === undefined) return undefined
  if (certificate === undefined || key === undefined)
    throw new AppError('usage', '--tls-certificate and --tls-key go together.')
  return { certificate: readFile('tls-certificate', certificate), key: readFile('tls-key', key) }
}

function readFile<Text extends string | undefined>(flag: string, text: Text): Text {
  if (text !== undefined && !filePattern.test(text))
    throw usage(flag, 'an absolute path of letters, digits, and . _ - between its slashes')
  return text
}

function readCache(text: string | undefined): number | undefined {
  if (text === undefined || text === '0') return undefined
  const seconds = cachePattern.test(text) ? Number(text) : 0
  if (seconds < shortestCache || seconds > longestCache)
    throw usage('cache', `0 for no cache, or ${shortestCache} to ${longestCache} seconds`)
  return seconds
}

function hasPort(text: string): boolean {
  const port = Number(text.slice(text.lastIndexOf(':') + 1))
  return port >= 1 && port <= 65535
}

function usage(flag: string, takes: string): AppError {
  return new AppError('usage', `--${flag} takes ${takes}.`)
}
