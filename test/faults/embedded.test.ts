import { beforeAll, describe, expect, test } from 'bun:test'
import { cpSync, existsSync, readdirSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { emptyDirectory, type Finished, login, run, type Server, serve, start } from '../binary/binary.ts'
import { type Disk, hasDisks, makeDisk } from './disk.ts'
import { newWorkload, password, settings } from './workload.ts'

const place = (disk: Disk) => ({
  command: disk.command,
  environment: { ...settings, HOST: '127.0.0.1', PORT: '0', DATA_DIR: disk.path },
})

async function onDisk(work: (disk: Disk) => Promise<void>, megabytes = 48): Promise<void> {
  const disk = await makeDisk(megabytes)
  try {
    await work(disk)
  } finally {
    await disk.release()
  }
}

/** Exit 1, and on standard error one line for the operator. */
function endsWith(line: RegExp, { code, stderr }: Finished): void {
  expect({ code, lines: stderr.split('\n').length }).toEqual({ code: 1, lines: 2 })
  expect(stderr).toMatch(line)
}

const signsIn = async ({ url }: Server): Promise<number> => (await login(url, 'admin', password)).status
const isAlive = async ({ url }: Server): Promise<boolean> => (await fetch(`${url}/health`)).ok

async function timed<T>(work: Promise<T>): Promise<[T, number]> {
  const started = performance.now()
  return [await work, performance.now() - started]
}

describe.skipIf(!hasDisks)('a full disk', () => {
  test('ends the server within ten seconds, with one line, and nothing acknowledged is lost', () =>
    onDisk(async (disk) => {
      const workload = newWorkload(2)
      const server = await serve(place(disk))
      const work = workload.run(server.url)
      await workload.proceed(20)
      disk.fill()
      const [finished, milliseconds] = await timed(server.finished)
      endsWith(/stopped because the disk is full: make room and start again\.$/m, finished)
      // The log laid by for later takes what is written at first; from the refusal on it is a moment.
      expect(milliseconds).toBeLessThan(20_000)
      await work
      disk.makeRoom()
      const again = await serve(place(disk))
      await workload.verify(again.url)
      expect((await again.stop()).code).toBe(0)
    }))

  test('lets neither a server nor a command start, and each says why in one line', () =>
    onDisk(async (disk) => {
      await (await serve(place(disk))).stop()
      disk.fill()
      for (const args of [[], ['user', 'list'], ['user', 'add', 'somebody']]) {
        const [finished, milliseconds] = await timed(run(args, place(disk)))
        endsWith(/the disk is full: make room and start again|disk has room|make room on the disk/, finished)
        expect(milliseconds).toBeLessThan(10_000)
      }
      disk.makeRoom()
      const server = await serve(place(disk))
      expect(await signsIn(server)).toBe(200)
      await server.stop()
    }))

  test('refuses the first start in one line, and leaves nothing that the next one would take for a database', () =>
    onDisk(async (disk) => {
      disk.fill()
      endsWith(/room/, await run([], place(disk)))
      disk.makeRoom()
      const server = await serve(place(disk))
      expect(await signsIn(server)).toBe(200)
      await server.stop()
    }))
})

describe.skipIf(!hasDisks)('a frozen disk', () => {
  test('means 503 within six seconds while it lasts, and nothing else once it is over', () =>
    onDisk(async (disk) => {
      const workload = newWorkload(2)
      const server = await serve(place(disk))
      const work = workload.run(server.url)
      await workload.proceed(20)
      disk.freeze()
      try {
        const [first, waited] = await timed(signsIn(server))
        expect([first, waited < 6000]).toEqual([503, true])
        await work
        expect(await isAlive(server)).toBe(true)
        await until(() => server.output.stdout.includes('database.stalled'), 5000)
        // By now nobody is kept waiting.
        const [later, soon] = await timed(signsIn(server))
        expect([later, soon < 1000]).toEqual([503, true])
        expect((await fetch(`${server.url}/ready`)).status).toBe(503)
        expect(await isAlive(server)).toBe(true)
      } finally {
        disk.thaw()
      }
      await until(async () => (await fetch(`${server.url}/ready`)).ok, 5000)
      expect(await signsIn(server)).toBe(200)
      expect(server.output.stdout).toContain('database.resumed')
      await workload.verify(server.url)
      await workload.verify(server.url)
      expect(await server.stop()).toMatchObject({ code: 0, stderr: '' })
    }))

  test('at the start is waited for', () =>
    onDisk(async (disk) => {
      await (await serve(place(disk))).stop()
      disk.freeze()
      const running = start(place(disk))
      await Bun.sleep(500)
      disk.thaw()
      await until(() => running.output.stdout.includes('server.ready'), 10_000)
      running.process.kill()
      expect((await running.finished).code).toBe(0)
    }))
})

describe.skipIf(!hasDisks)('a power cut', () => {
  test('loses nothing that was acknowledged', () =>
    onDisk(async (disk) => {
      const workload = newWorkload(2)
      for (let cut = 0; cut < 4; cut++) {
        const server = await serve(place(disk))
        await workload.verify(server.url)
        const work = workload.run(server.url)
        await workload.proceed(10 + 50 * Math.random())
        disk.cutPower()
        await server.stop('SIGKILL')
        await work
        disk.remount()
      }
      const server = await serve(place(disk))
      await workload.verify(server.url)
      expect((await server.stop()).code).toBe(0)
    }))

  test('right after the first start leaves a whole database with its key', () =>
    onDisk(async (disk) => {
      const server = await serve(place(disk))
      const token = (await (await login(server.url, 'admin', password)).json()) as { access_token: string }
      disk.cutPower()
      await server.stop('SIGKILL')
      disk.remount()
      const again = await serve(place(disk))
      const me = await fetch(`${again.url}/auth/me`, { headers: { authorization: `Bearer ${token.access_token}` } })
      expect(me.status).toBe(200)
      await again.stop()
    }))

  test.each([0, 30, 60, 100, 160])('%d ms into the first start leaves either nothing or a database', (milliseconds) =>
    onDisk(async (disk) => {
      const running = start(place(disk))
      await until(() => existsSync(`/proc/${running.process.pid}/fd`) && running.output.stdout !== '', 5000)
      await Bun.sleep(milliseconds)
      disk.cutPower()
      running.process.kill('SIGKILL')
      await running.finished
      disk.remount()
      const server = await serve(place(disk))
      expect(await signsIn(server)).toBe(200)
      await server.stop()
    }),
  )
})

describe.skipIf(!hasDisks)('a disk that fails', () => {
  test('under a server ends it at once, with one line, and nothing acknowledged is lost', () =>
    onDisk(async (disk) => {
      const workload = newWorkload(2)
      const server = await serve(place(disk))
      const work = workload.run(server.url)
      await workload.proceed(20)
      disk.turnReadOnly()
      const [finished, milliseconds] = await timed(server.finished)
      endsWith(/stopped because (the file system is read-only|the disk reports an input\/output error)/, finished)
      expect(milliseconds).toBeLessThan(10_000)
      await work
      disk.remount()
      const again = await serve(place(disk))
      await workload.verify(again.url)
      await again.stop()
    }))

  test('or is mounted read-only, is told in one line at the start', () =>
    onDisk(async (disk) => {
      await (await serve(place(disk))).stop()
      disk.remount('loop,ro')
      for (const args of [[], ['user', 'list']])
        endsWith(/cannot be written \(EROFS\)|read-only/, await run(args, place(disk)))
    }))
})

describe('a directory that is taken away from a running server', () => {
  test.each<[string, (database: string) => void]>([
    ['removed', (database) => rmSync(database, { recursive: true })],
    ['moved', (database) => renameSync(database, `${database}-elsewhere`)],
  ])('%s: nothing is acknowledged any more, and the server ends with one line', async (_, take) => {
    const directory = emptyDirectory()
    const server = await serve({ directory, environment: settings })
    expect(await signsIn(server)).toBe(200)
    take(join(directory, 'data/postgresql'))
    expect(await signsIn(server)).toBe(503)
    endsWith(/stopped because its directory was removed or moved away/, await server.finished)
  })
})

describe('a damaged database', () => {
  const whole = emptyDirectory()
  beforeAll(async () => {
    await (await serve({ directory: whole, environment: settings })).stop()
  })

  /** Does something to each file of the log. */
  const log = (change: (file: string) => void) => (database: string) => {
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
    ['a version that is no number', write('PG_VERSION', '\u0000rubbish\n'), /an unknown PostgreSQL/],
    ['an empty version', cut('PG_VERSION', 0), /an unknown PostgreSQL/],
    ['a newer version', write('PG_VERSION', '19\n'), /written by PostgreSQL 19, this program reads 18/],
    ['no version', remove('PG_VERSION'), /not empty and not a database/],
    ['no pg_control', remove('global/pg_control'), /may be damaged/],
    ['half a pg_control', cut('global/pg_control', 100), /may be damaged/],
    ['a pg_control of zeros', write('global/pg_control', new Uint8Array(8192)), /may be damaged/],
    ['no log', log((file) => rmSync(file)), /may be damaged/],
    ['an empty log', log((file) => truncateSync(file)), /may be damaged/],
    ['half a log', log((file) => truncateSync(file, 4096)), /may be damaged/],
    ['a log of zeros', log((file) => writeFileSync(file, new Uint8Array(1_048_576))), /may be damaged/],
    ['an empty catalogue', cut('base/5/1259', 0), /may be damaged/],
    ['half a catalogue', cut('base/5/1259', 4096), /may be damaged/],
    ['no tables', remove('base/5'), /may be damaged/],
    ['no commit log', remove('pg_xact'), /may be damaged/],
    ['a table with a changed byte', userTable(flipByte), /is damaged \(XX001\): restore a backup/],
  ]
  const damaged = (damage: (database: string) => void): string => {
    const directory = emptyDirectory()
    cpSync(join(whole, 'data'), join(directory, 'data'), { recursive: true })
    damage(join(directory, 'data/postgresql'))
    return directory
  }
  const attempt = (directory: string, ...args: string[]) =>
    timed(run(args, { directory, environment: { ...settings, HOST: '127.0.0.1', PORT: '0' } }))

  test.each(damages)('%s: one line and exit 1, for the server and for a command', async (_, damage, line) => {
    const directory = damaged(damage)
    for (const args of [[], ['user', 'list']]) {
      const [finished, milliseconds] = await attempt(directory, ...args)
      endsWith(line, finished)
      expect(milliseconds).toBeLessThan(10_000)
    }
  })

  test('a table without its rows: the server does not take it for an empty one', async () => {
    const [finished] = await attempt(damaged(userTable((file) => truncateSync(file))))
    endsWith(/is damaged \(XX001\): restore a backup/, finished)
  })
})

describe('what a crash leaves', () => {
  test('of the first start is cleared away by the next one', async () => {
    const directory = emptyDirectory()
    for (const milliseconds of [40, 60, 80, 100, 120, 150, 180]) {
      const running = start({ directory, environment: { ...settings, HOST: '127.0.0.1', PORT: '0' } })
      await Bun.sleep(milliseconds)
      running.process.kill('SIGKILL')
      await running.finished
      rmSync(join(directory, 'data/postgresql'), { recursive: true, force: true })
    }
    const server = await serve({ directory, environment: settings })
    expect(await signsIn(server)).toBe(200)
    expect(readdirSync(join(directory, 'data')).sort()).toEqual(['control.sock', 'lock', 'postgresql', 'secret.key'])
    await server.stop()
  })

  test('of the engine, an empty postmaster.pid, keeps nobody from starting', async () => {
    const directory = emptyDirectory()
    await (await serve({ directory, environment: settings })).stop()
    writeFileSync(join(directory, 'data/postgresql/postmaster.pid'), '')
    const server = await serve({ directory, environment: settings })
    expect(await signsIn(server)).toBe(200)
    await server.stop()
  })
})

/** What a failing disk does in silence, and a checksum finds. */
function flipByte(file: string): void {
  const bytes = readFileSync(file)
  bytes.writeUInt8(bytes.readUInt8(8000) ^ 1, 8000)
  writeFileSync(file, bytes)
}

/** Asks again and again until it is so; fails when it takes longer than it may. */
async function until(isSo: () => boolean | Promise<boolean>, milliseconds: number): Promise<void> {
  const end = performance.now() + milliseconds
  while (!(await isSo())) {
    if (performance.now() > end) throw new Error(`not so after ${milliseconds} ms`)
    await Bun.sleep(20)
  }
}
