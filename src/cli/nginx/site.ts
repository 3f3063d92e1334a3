import { AppError } from '../../error.ts'
import { areRoles, maxRoles } from '../../userFields.ts'

/** A path and who may use it. */
export interface Protected {
  /** `/orders`, or `/` for all other paths. */
  readonly path: string
  /** A user needs one of them. Empty: every user is allowed. */
  readonly roles: readonly string[]
}

/** A protected static site. */
export interface ProtectedFiles extends Protected {
  readonly directory: string
}

/** A protected path and the service that handles it. */
export interface Upstream extends Protected {
  /** `127.0.0.1:9000` */
  readonly server: string
  /** Whether paths may contain `;`. Other ambiguous paths are rejected nevertheless. */
  readonly allowsMatrixParameters: boolean
}

/** The values in the configuration. None contains a quote, space, `;`, `$` or brace. */
export interface Site {
  readonly serverName: string
  /** Empty: the default port. */
  readonly listen: readonly string[]
  readonly services: readonly string[]
  readonly upstreams: readonly Upstream[]
  readonly root: string | undefined
  readonly tls: { readonly certificate: string; readonly key: string } | undefined
  /** Seconds. Undefined: every request is verified. */
  readonly cache: number | undefined
  /** The largest request body, such as `1m`. */
  readonly body: string
  /** Whether the services get the `Authorization` header. */
  readonly passesToken: boolean
  readonly basePath: string
  /** Whether browsers sign in with a cookie. */
  readonly hasSignIn: boolean
  readonly files: readonly ProtectedFiles[]
}

export type SiteFlags = ReadonlyMap<string, readonly string[]>

const label = '[A-Za-z0-9](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?'
const hostName = `${label}(?:\\.${label})*`
const server = `(?:${hostName}|\\[[0-9A-Fa-f:.]{2,45}\\]):[0-9]{1,5}`
const serverNamePattern = new RegExp(`^${hostName}$`)
const servicePattern = new RegExp(`^${server}$`)
const upstreamPattern = new RegExp(`^(/[A-Za-z0-9._~/-]*)=http://(${server})/?(?::([a-z0-9_,-]+))?$`)
const filesPattern = /^(\/[A-Za-z0-9._~/-]*)=([^:]+?)\/?(?::([a-z0-9_,-]+))?$/
const listenPattern = /^(?:(?:[0-9.]{7,15}|\[[0-9A-Fa-f:.]{2,45}\]):)?[0-9]{1,5}$/
const filePattern = /^(?:\/[A-Za-z0-9_-][A-Za-z0-9._-]*)+$/
const bodyPattern = /^[1-9][0-9]{0,8}[kmg]?$/i
const cachePattern = /^[0-9]{1,2}$/
/** Seconds. Nginx counts whole seconds, the first of which may be almost over. */
const [minCache, maxCache] = [2, 60]
const maxServerNameLength = 253
/** Bytes. Nginx stores the length of a location in one byte. */
const maxPathLength = 200

export interface SiteSettings {
  readonly basePath: string
  readonly port: number
  /** The default of `--sign-in`. */
  readonly hasPages: boolean
}

/** Reads the flags of `audittrail nginx`. Throws `usage` with the flag and its rule. */
export function readSite(flags: SiteFlags, { basePath, port, hasPages }: SiteSettings): Site {
  const one = (name: string) => flags.get(name)?.[0]
  const serverName = one('server-name')
  if (serverName === undefined)
    throw usage('server-name', 'is required: the host name of the site, such as app.example.com')
  if (!serverNamePattern.test(serverName) || serverName.length > maxServerNameLength)
    throw usage('server-name', 'must be a host name such as app.example.com')
  const upstreams = readUpstreams(flags, basePath || defaultBase)
  const files = readFiles(flags, basePath || defaultBase, upstreams)
  const root = readFile('root', one('root'))
  if (root && [...upstreams, ...files].some(({ path }) => path === '/'))
    throw usage('root', 'cannot be used together with --upstream or --files for the path /')
  return {
    serverName: serverName.toLowerCase(),
    listen: readListen(flags.get('listen') ?? []),
    services: (flags.get('service') ?? [`127.0.0.1:${port}`]).map(readService),
    upstreams,
    root,
    tls: readTls(one('tls-certificate'), one('tls-key')),
    cache: readCache(one('cache')),
    body: readBody(one('body')),
    passesToken: flags.has('pass-token'),
    basePath,
    hasSignIn: readSignIn(one('sign-in'), hasPages),
    files,
  }
}

/** The public path of AuditTrail when BASE_PATH is empty. Nginx strips it. */
export const defaultBase = '/api'
/** Nginx rewrites the path of a WebSocket to one below this path. */
export const webSocketPath = '/_audittrail/websocket/'

function readUpstreams(flags: SiteFlags, base: string): readonly Upstream[] {
  const exempt = (flags.get('matrix-parameters') ?? []).map(withoutTrailingSlash)
  const upstreams = (flags.get('upstream') ?? []).map((text) => readUpstream(text, base, exempt))
  const paths = upstreams.map(({ path }) => path.toLowerCase())
  if (new Set(paths).size < paths.length) throw usage('upstream', 'must not repeat a path, not even in another case')
  for (const path of exempt) {
    const upstream = upstreams.find((other) => other.path === path)
    if (!upstream) throw usage('matrix-parameters', 'must be the path of an --upstream')
    if (upstreams.some((other) => isWithin(other, upstream)))
      throw usage('matrix-parameters', 'cannot exempt a path that contains another --upstream with other roles')
  }
  return upstreams
}

function withoutTrailingSlash(path: string): string {
  return path === '/' ? path : path.replace(/\/$/, '')
}

/** Returns whether requests in `outer` may reach `inner`, although it has another rule. */
export function isWithin(inner: Upstream, outer: Upstream): boolean {
  const [path, base] = [inner.path.toLowerCase(), outer.path.toLowerCase()]
  const isNested = inner !== outer && path.startsWith(base === '/' ? '/' : `${base}/`)
  return isNested && inner.roles.join() !== outer.roles.join()
}

function readUpstream(text: string, base: string, exempt: readonly string[]): Upstream {
  const [, location = '', address = '', roleList] = upstreamPattern.exec(text) ?? []
  const path = withoutTrailingSlash(location)
  if (!isPath(path) || !hasPort(address))
    throw usage('upstream', 'must have the form /PATH=http://HOST:PORT or /PATH=http://HOST:PORT:ROLE,ROLE')
  const roles = readRule('upstream', path, roleList, base)
  return { path, server: address, roles, allowsMatrixParameters: exempt.includes(path) }
}

/** Returns the roles, sorted. */
function readRule(flag: string, path: string, roleList: string | undefined, base: string): readonly string[] {
  const isTaken = (taken: string) => `${path}/`.toLowerCase().startsWith(`${taken}/`.toLowerCase())
  if ([base, '/.well-known', '/_audittrail'].some(isTaken))
    throw usage(flag, `must not use a path of AuditTrail (${base}, /.well-known, /_audittrail)`)
  const roles = [...new Set(roleList?.split(','))]
  if (!areRoles(roles))
    throw usage(flag, `must have at most ${maxRoles} roles, each 1 to 32 of the characters a-z 0-9 _ -`)
  return roles.sort()
}

function isPath(path: string): boolean {
  const segments = path.split('/').slice(1)
  const areNames = segments.every((segment) => !['', '.', '..'].includes(segment))
  return path === '/' || (path !== '' && path.length <= maxPathLength && areNames)
}

function readFiles(flags: SiteFlags, base: string, upstreams: readonly Upstream[]): readonly ProtectedFiles[] {
  const files = (flags.get('files') ?? []).map((text) => {
    const [, location = '', directory = '', roleList] = filesPattern.exec(text) ?? []
    const path = withoutTrailingSlash(location)
    if (!isPath(path) || !filePattern.test(directory))
      throw usage('files', 'must have the form /PATH=/DIRECTORY or /PATH=/DIRECTORY:ROLE,ROLE')
    return { path, directory, roles: readRule('files', path, roleList, base) }
  })
  const paths = [...upstreams, ...files].map(({ path }) => path.toLowerCase())
  if (new Set(paths).size < paths.length) throw usage('files', 'must not repeat a path, not even in another case')
  return files
}

function readSignIn(text: string | undefined, hasPages: boolean): boolean {
  if (text !== undefined && text !== 'on' && text !== 'off') throw usage('sign-in', 'must be on or off')
  return text === undefined ? hasPages : text === 'on'
}

function readService(text: string): string {
  if (!servicePattern.test(text) || !hasPort(text)) throw usage('service', 'must have the form HOST:PORT')
  return text
}

function readListen(texts: readonly string[]): readonly string[] {
  if (texts.some((text) => !listenPattern.test(text) || !hasPort(text)))
    throw usage('listen', 'must have the form PORT or ADDRESS:PORT')
  const sockets = texts.map((text) => text.toLowerCase().replace(/^0\.0\.0\.0:/, ''))
  if (new Set(sockets).size < sockets.length) throw usage('listen', 'must not repeat an address and port')
  return texts
}

function readTls(certificate: string | undefined, key: string | undefined): Site['tls'] {
  if (certificate === undefined && key === undefined) return undefined
  if (certificate === undefined || key === undefined)
    throw new AppError('usage', '--tls-certificate and --tls-key must be used together.')
  return { certificate: readFile('tls-certificate', certificate), key: readFile('tls-key', key) }
}

function readFile<Text extends string | undefined>(flag: string, text: Text): Text {
  if (text !== undefined && !filePattern.test(text))
    throw usage(flag, 'must be an absolute path whose segments contain only letters, digits and . _ -')
  return text
}

function readCache(text: string | undefined): number | undefined {
  if (text === undefined || text === '0') return undefined
  const seconds = cachePattern.test(text) ? Number(text) : 0
  if (seconds < minCache || seconds > maxCache)
    throw usage('cache', `must be 0 or a number of seconds from ${minCache} to ${maxCache}`)
  return seconds
}

function readBody(text = '1m'): string {
  if (!bodyPattern.test(text)) throw usage('body', 'must be a size such as 512k, 10m or 2g')
  return text.toLowerCase()
}

function hasPort(text: string): boolean {
  const port = Number(text.slice(text.lastIndexOf(':') + 1))
  return port >= 1 && port <= 65535
}

function usage(flag: string, rule: string): AppError {
  return new AppError('usage', `--${flag} ${rule}.`)
}
