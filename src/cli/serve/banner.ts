import type { Config } from '../../config/config.ts'
import { databaseLabel } from '../../config/databaseLabel.ts'
import type { Listener } from '../../http/edge/listener.ts'
import { version } from '../../version.ts'

/**
 * `quarantined`: the administrators that must change their password. `program`: how a command is
 * called, as this one was.
 */
export function bannerText(
  config: Config,
  { url, port }: Pick<Listener, 'url' | 'port'>,
  quarantined: readonly string[],
  program: string,
): string {
  const { host, basePath, adminUsername, adminPassword, databaseUrl, docs } = config
  const origin = host === '0.0.0.0' || host === '::' ? `http://127.0.0.1:${port}` : url
  const address = `${origin}${basePath}`
  const database = `${databaseLabel(config)}${databaseUrl ? '' : ' (for development and small installations)'}`
  const isDefaultPassword = adminPassword === undefined && quarantined.includes(adminUsername)
  const password = isDefaultPassword ? 'changeme' : '…'
  const warning = isDefaultPassword
    ? `
  Warning    ${adminUsername} still has the default password, which only gives access to
             ${basePath}/auth/me and to changing it. To change it, run:
             ${program} user password ${adminUsername}
`
    : ''
  return `
  AuditTrail ${version}

  Address    ${address}
${docs === 'on' ? `  API docs   ${address}/docs\n` : ''}  Database   ${database}
  Sign in    curl -d 'username=${adminUsername}&password=${password}' ${address}/auth/login
${warning}
  Press Ctrl+C to stop.

`
}
