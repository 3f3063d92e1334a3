import { isIP } from 'node:net'

/** One server of DATABASE_URL. */
export interface DatabaseHost {
  /** The name that a certificate is checked for. */
  readonly host: string
  readonly port: number
  /** libpq's `hostaddr`: the IP address to connect to, instead of resolving the name. */
  readonly hostaddr?: string
  /** Directory of a Unix socket, used instead of host and port. */
  readonly socketDirectory?: string
}

/** Lists as libpq has them: separated by commas, with empty elements. */
export interface HostLists {
  readonly hosts: string
  readonly hostaddrs: string
  readonly ports: string
}

export const addressForm =
  'must have the form postgresql://USER:PASSWORD@HOST:PORT/DATABASE, with several hosts HOST:PORT,HOST:PORT (in the username and password, percent-encode @ : / ? # % as %40 %3A %2F %3F %23 %25)'

/** Splits `h1:p1,[::1]:p2,h3` of a URI, still percent-encoded. */
export function splitAuthority(text: string): { readonly hosts: string; readonly ports: string } {
  const elements = text.split(',').map((element) => {
    const [matches, bracketed, name, port = ''] = /^(?:\[([^\]]+)\]|([^:[\]]*))(?::(.*))?$/s.exec(element) ?? []
    if (matches === undefined) throw new Error(addressForm)
    return { host: bracketed ?? name ?? '', port }
  })
  const hosts = elements.map(({ host }) => host).join(',')
  const ports = elements.map(({ port }) => port).join(',')
  // Only an unescaped delimiter of a password leads here.
  if (/[^\d,%+ ]/.test(ports)) throw new Error(addressForm)
  return { hosts, ports }
}

/**
 * Matches hosts, addresses and ports as libpq does (connectOptions2 in fe-connect.c). A single
 * port is for every host. Unlike libpq, an empty host is localhost.
 */
export function matchHosts(lists: HostLists): readonly [DatabaseHost, ...DatabaseHost[]] {
  const hostaddrs = lists.hostaddrs === '' ? [] : lists.hostaddrs.split(',')
  const names = lists.hosts === '' ? [] : lists.hosts.split(',')
  if (hostaddrs.length > 0 && names.length > 0 && hostaddrs.length !== names.length)
    throw new Error(`must have as many hosts as hostaddr values (got ${names.length} and ${hostaddrs.length})`)
  const count = Math.max(hostaddrs.length, names.length, 1)
  const ports = lists.ports.split(',')
  if (ports.length !== 1 && ports.length !== count)
    throw new Error(`must have one port, or one for each host (got ${ports.length} for ${count})`)
  const hosts = Array.from({ length: count }, (_, index) => {
    const port = ports.length === 1 ? ports[0] : ports[index]
    return createHost(names[index] ?? '', hostaddrs[index] ?? '', readPort(port ?? ''))
  })
  const distinct = new Map(hosts.map((host) => [JSON.stringify(host), host]))
  return [...distinct.values()] as unknown as readonly [DatabaseHost, ...DatabaseHost[]]
}

function createHost(name: string, hostaddr: string, port: number): DatabaseHost {
  if (hostaddr !== '') {
    if (isIP(hostaddr) === 0) throw new Error('must set hostaddr to IP addresses (write names as host)')
    return { host: isSocket(name) || name === '' ? hostaddr : readName(name), port, hostaddr }
  }
  if (isSocket(name)) return { host: 'localhost', port, socketDirectory: name }
  return { host: name === '' ? 'localhost' : readName(name), port }
}

/** A directory, or on Linux a name in the abstract namespace. */
function isSocket(name: string): boolean {
  return name.startsWith('/') || name.startsWith('@')
}

function readName(name: string): string {
  if (/[\s@/?#\\<>^|[\]]/.test(name) || (name.includes(':') && isIP(name) === 0)) throw new Error(addressForm)
  return name
}

function readPort(text: string): number {
  if (text === '') return 5432
  const port = /^\s*\+?\d{1,9}\s*$/.test(text) ? Number(text) : 0
  if (port < 1 || port > 65535) throw new Error('must have a port from 1 to 65535')
  return port
}

/**
 * Returns the lists for SQLAlchemy's own form, `?host=h1:p1&host=h2:p2`. Undefined if the hosts are
 * in libpq's.
 */
export function splitRepeatedHosts(values: readonly string[]): Pick<HostLists, 'hosts' | 'ports'> | undefined {
  const elements = values.map((value) => /^([\w.-]*):(\d*)$/.exec(value) ?? ['', value, ''])
  if (values.length < 2 && !elements[0]?.[0]) return undefined
  return {
    hosts: elements.map(([, host]) => host).join(','),
    ports: elements.map(([, , port]) => port).join(','),
  }
}
