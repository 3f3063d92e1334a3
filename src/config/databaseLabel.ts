import { isIP } from 'node:net'
import { resolve } from 'node:path'
import type { Config } from './config.ts'
import type { DatabaseAddress } from './databaseUrl.ts'

/** Returns which database is in use, without its password: a URL, or `embedded in DIRECTORY`. */
export function databaseLabel({ databaseUrl, dataDir }: Pick<Config, 'databaseUrl' | 'dataDir'>): string {
  if (!databaseUrl) return `embedded in ${resolve(dataDir)}`
  return serverLabel(databaseUrl)
}

/** Returns the address without its password, for logs and commands. Never for a response. */
export function serverLabel({ host, port, socketDirectory, database, username }: DatabaseAddress): string {
  const name = `${encodeURIComponent(username)}@`
  // After a / that was not percent-encoded, the rest of a password would be taken for the name.
  const path = `/${/[/@]/.test(database) ? '…' : encodeURIComponent(database)}`
  if (socketDirectory !== undefined) return `postgresql://${name}${path}?host=${socketDirectory}`
  return `postgresql://${name}${isIP(host) === 6 ? `[${host}]` : host}:${port}${path}`
}
