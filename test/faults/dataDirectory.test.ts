import { beforeAll, describe, expect, test } from 'bun:test'
import { cpSync, readdirSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { emptyDirectory, run, serve, start } from '../binary/binary.ts'
import { expectEnd, signIn } from './endings.ts'
import { settings } from './workload.ts'

describe('a data directory that disappears under a running server', () => {
  test.each<[string, (database: string) => void]>([
    ['removed', (database) => rmSync(database, { recursive: true })],
    ['moved', (database) => renameSync(database, `${database}-elsewhere`)],
  ])('%s: nothing more is acknowledged, and the server ends with one line', async (_, take) => {
    const directory = emptyDirectory()
    const server = await serve({ directory, environment: settings })
    expect(await signIn(server)).toBe(200)
    take(join(directory, 'data/postgresql'))
    // The server may have noticed before, when it moved events into the audit log.
    expect([503, 'ended']).toContain(await signIn(server).catch(() => 'ended'))
    expectEnd(/stopped because its directory was removed or moved away/, await server.finished)
  })
})

describe('a damaged database', () => {
  const whole = emptyDirectory()
  beforeAll(async () => {
    await (await serve({ directory: whole, environment: settings })).stop()
  })

  /** Changes each WAL file. */
  const wal = (change: (file: string) => void) => (database: string) => {
    for (const name of readdirSync(join(database, 'pg_wal')))
      if (/^[0-9A-F]{24}$/.test(name)) change(join(database, 'pg_wal', name))
  }
  const remove = (name: string) => (database: string) => rmSync(join(database, name), { recursive: true })
  const write = (name: string, content: string | Uint8Array) => (database: string) =>
    writeFileSync(join(database, name), content)
  const cut = (name: string, length: number) => (database: string) => truncateSync(join(database, name), length)

  const userTable = (change: (file: string) => void) => (database: string) => {
    const tables = join(database, 'base/5')
    const isUsers = (name: string) => readFileSync(join(tables, name)).includes('Default Admin')
    for (const name of readdirSync(tables)) if (isUsers(name)) change(join(tables, name))
  }

  const damages: [string, (database: string) => void, RegExp][] = [
    ['a PG_VERSION that is not a number', write('PG_VERSION', '\u0000rubbish\n'), /an unknown PostgreSQL/],
    ['an empty PG_VERSION', cut('PG_VERSION', 0), /an unknown PostgreSQL/],
    ['a newer PG_VERSION', write('PG_VERSION', '19\n'), /written by PostgreSQL 19, but this program reads 18/],
    ['no PG_VERSION', remove('PG_VERSION'), /not empty and not a database/],
    ['no pg_control', remove('global/pg_control'), /may be damaged/],
    ['half a pg_control', cut('global/pg_control', 100), /may be damaged/],
    ['a pg_control of zeros', write('global/pg_control', new Uint8Array(8192)), /may be damaged/],
    ['no WAL', wal((file) => rmSync(file)), /may be damaged/],
    ['an empty WAL', wal((file) => truncateSync(file)), /may be damaged/],
    ['half a WAL file', wal((file) => truncateSync(file, 4096)), /may be damaged/],
    ['a WAL of zeros', wal((file) => writeFileSync(file, new Uint8Array(1_048_576))), /may be damaged/],
    ['an empty catalog', cut('base/5/1259', 0), /may be damaged/],
    ['half a catalog', cut('base/5/1259', 4096), /may be damaged/],
    ['no tables', remove('base/5'), /may be damaged/],
    ['no pg_xact', remove('pg_xact'), /may be damaged/],
    ['a table with a changed byte', userTable(flipByte), /is damaged \(XX001\)\. Restore a backup/],
  ]
  const damaged = (damage: (database: string) => void): string => {
    const directory = emptyDirectory()
    cpSync(join(whole, 'data'), join(directory, 'data'), { recursive: true })
    damage(join(directory, 'data/postgresql'))
    return directory
  }
  const attempt = (directory: string, ...args: string[]) =>
    run(args, { directory, environment: { ...settings, HOST: '127.0.0.1', PORT: '0' } })

  test.each(damages)('%s: the server and commands exit 1 with one line', async (_, damage, line) => {
    const directory = damaged(damage)
    for (const args of [[], ['user', 'list']]) {
      expectEnd(line, await attempt(directory, ...args))
    }
  })

  test('a table file without its rows is not mistaken for an empty table', async () => {
    expectEnd(
      /is damaged \(XX001\)\. Restore a backup/,
      await attempt(damaged(userTable((file) => truncateSync(file)))),
    )
  })
})

describe('leftovers of a crash', () => {
  test('a partial first start is removed by the next start', async () => {
    const directory = emptyDirectory()
    for (const milliseconds of [40, 60, 80, 100, 120, 150, 180]) {
      const running = start({ directory, environment: { ...settings, HOST: '127.0.0.1', PORT: '0' } })
      await Bun.sleep(milliseconds)
      running.process.kill('SIGKILL')
      await running.finished
      rmSync(join(directory, 'data/postgresql'), { recursive: true, force: true })
    }
    const server = await serve({ directory, environment: settings })
    expect(await signIn(server)).toBe(200)
    expect(readdirSync(join(directory, 'data')).sort()).toEqual(['control.sock', 'lock', 'postgresql', 'secret.key'])
    await server.stop()
  })

  test('an empty postmaster.pid does not prevent a start', async () => {
    const directory = emptyDirectory()
    await (await serve({ directory, environment: settings })).stop()
    writeFileSync(join(directory, 'data/postgresql/postmaster.pid'), '')
    const server = await serve({ directory, environment: settings })
    expect(await signIn(server)).toBe(200)
    await server.stop()
  })
})

/** Flips a bit, as a failing disk does silently. A checksum finds it. */
function flipByte(file: string): void {
  const bytes = readFileSync(file)
  bytes.writeUInt8(bytes.readUInt8(8000) ^ 1, 8000)
  writeFileSync(file, bytes)
}
