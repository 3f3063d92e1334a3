import { spawn } from 'node:child_process'
import { chownSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { atEndOfFile, temporaryDirectory } from '../endOfFile.ts'
import { freePort, nobody } from '../postgresqlServer.ts'

/** PgBouncer in transaction mode. */
export interface Pooler {
  readonly port: number
  stop(): void
}

/** As in docs/settings.md, except for authentication. */
const settings = (port: number, serverPort: number, directory: string, others: readonly string[]) => `
[databases]
* = host=127.0.0.1 port=${serverPort}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = trust
auth_file = ${join(directory, 'users')}
pool_mode = transaction
default_pool_size = 4
server_login_retry = 1
logfile = ${join(directory, 'log')}
${others.join('\n')}
`

/** Starts PgBouncer in front of a local server, for the roles `postgres` and `app`. */
export async function startPooler(serverPort: number, others: readonly string[] = []): Promise<Pooler> {
  const directory = temporaryDirectory('pgbouncer')
  const port = await freePort()
  const file = join(directory, 'pgbouncer.ini')
  writeFileSync(file, settings(port, serverPort, directory, others))
  writeFileSync(join(directory, 'users'), '"postgres" ""\n"app" ""\n')
  // PgBouncer refuses to run as root.
  const isRoot = process.getuid?.() === 0
  if (isRoot) for (const path of [directory, file, join(directory, 'users')]) chownSync(path, nobody, nobody)
  const child = spawn('pgbouncer', ['-q', file], { ...(isRoot ? { uid: nobody, gid: nobody } : {}), stdio: 'ignore' })
  const stop = () => void child.kill('SIGTERM')
  atEndOfFile(stop)
  await untilItListens(port)
  return { port, stop }
}

async function untilItListens(port: number): Promise<void> {
  for (let attempt = 0; attempt < 600; attempt++) {
    const { promise, resolve } = Promise.withResolvers<boolean>()
    const probe = connect(port, '127.0.0.1', () => resolve(true)).on('error', () => resolve(false))
    const isThere = await promise
    probe.destroy()
    if (isThere) return
    await Bun.sleep(50)
  }
  throw new Error('PgBouncer did not start within 30 s')
}
