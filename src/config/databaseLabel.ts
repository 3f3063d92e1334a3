import { isIP } from 'node:net'
import { resolve } from 'node:path'
import type { Config } from './config.ts'
import type { DatabaseHost } from './databaseHosts.ts'
import { type DatabaseAddress, listAddresses } from './databaseUrl.ts'

/** Returns which database is in use, without its password: a URL, or `embedded in DIRECTORY`. */
export function databaseLabel({ databaseUrl, dataDir }: Pick<Config, 'databaseUrl' | 'dataDir'>): string {
  if (!databaseUrl) return `embedded in ${resolve(dataDir)}`
  return serverLabel(databaseUrl)
}

/** Returns the address without its password, for logs and commands. Never for a response. */
export function serverLabel(address: DatabaseAddress): string {
  const { socketDirectory, database, username, otherHosts } = address
  const name = `${encodeURIComponent(username)}@`
  // After a / that was not percent-encoded, the rest of a password would be taken for the name.
  const path = `/${/[/@]/.test(database) ? '…' : encodeURIComponent(database)}`
  if (socketDirectory !== undefined && !otherHosts) return `postgresql://${name}${path}?host=${socketDirectory}`
  return `postgresql://${name}${listAddresses(address).map(hostLabel).join(',')}${path}`
}

/** Returns the host and port as a URL has them. */
export function hostLabel({ host, port, hostaddr, socketDirectory }: DatabaseHost): string {
  if (socketDirectory !== undefined) return `${encodeURIComponent(socketDirectory)}:${port}`
  const name = hostaddr === undefined || hostaddr === host ? host : `${host}(${hostaddr})`
  return `${isIP(host) === 6 ? `[${name}]` : name}:${port}`
}
