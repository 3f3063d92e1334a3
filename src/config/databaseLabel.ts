import { isIP } from 'node:net'
import { resolve } from 'node:path'
import type { Config } from './config.ts'

/** Returns which database is in use, without its password: a URL, or `embedded in DIRECTORY`. */
export function databaseLabel({ databaseUrl, dataDir }: Pick<Config, 'databaseUrl' | 'dataDir'>): string {
  if (!databaseUrl) return `embedded in ${resolve(dataDir)}`
  const { host, port, socketDirectory, database, username } = databaseUrl
  const name = `${encodeURIComponent(username)}@`
  const path = `/${encodeURIComponent(database)}`
  if (socketDirectory !== undefined) return `postgresql://${name}${path}?host=${socketDirectory}`
  return `postgresql://${name}${isIP(host) === 6 ? `[${host}]` : host}:${port}${path}`
}
