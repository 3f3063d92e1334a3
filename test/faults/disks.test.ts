import { describe, expect, test } from 'bun:test'
import { run, type Server, serve, start } from '../binary/binary.ts'
import { until } from '../condition.ts'
import { hasDisks, onDisk, place } from './disk.ts'
import { expectEnd, signIn, timed } from './endings.ts'
import { newWorkload } from './workload.ts'

const isAlive = async ({ url }: Server): Promise<boolean> => (await fetch(`${url}/health`)).ok

describe.skipIf(!hasDisks)('a full disk', () => {
  test('ends the server within ten seconds with one line, and no acknowledged change is lost', () =>
    onDisk(async (disk) => {
      const workload = newWorkload(2)
      const server = await serve(place(disk))
      const work = workload.run(server.url)
      await workload.proceed(20)
      disk.fill()
      const [finished, milliseconds] = await timed(server.finished)
      expectEnd(/stopped because the disk is full\. Free disk space and start again\.$/m, finished)
      // Preallocated WAL absorbs the first writes. After the first failure it takes a moment.
      expect(milliseconds).toBeLessThan(20_000)
      await work
      disk.makeRoom()
      const again = await serve(place(disk))
      await workload.verify(again.url)
      expect((await again.stop()).code).toBe(0)
    }))

  test('keeps servers and commands from starting, with one line each', () =>
    onDisk(async (disk) => {
      await (await serve(place(disk))).stop()
      disk.fill()
      for (const args of [[], ['user', 'list'], ['user', 'add', 'somebody']]) {
        const finished = await run(args, place(disk))
        expectEnd(/the disk is full\. Free disk space and start again|disk has space|Free disk space/, finished)
      }
      disk.makeRoom()
      const server = await serve(place(disk))
      expect(await signIn(server)).toBe(200)
      await server.stop()
    }))

  test('fails the first start with one line and leaves nothing that looks like a database', () =>
    onDisk(async (disk) => {
      disk.fill()
      expectEnd(/Free disk space/, await run([], place(disk)))
      disk.makeRoom()
      const server = await serve(place(disk))
      expect(await signIn(server)).toBe(200)
      await server.stop()
    }))
})

describe.skipIf(!hasDisks)('a frozen disk', () => {
  test('returns 503 within six seconds while it lasts, and recovers afterwards', () =>
    onDisk(async (disk) => {
      const workload = newWorkload(2)
      const server = await serve(place(disk))
      const work = workload.run(server.url)
      await workload.proceed(20)
      disk.freeze()
      try {
        const [first, waited] = await timed(signIn(server))
        expect([first, waited < 6000]).toEqual([503, true])
        await work
        expect(await isAlive(server)).toBe(true)
        await until(() => server.output.stdout.includes('database.stalled'))
        // No request waits any more, which would take four seconds.
        const [later, soon] = await timed(signIn(server))
        expect([later, soon < 3000]).toEqual([503, true])
        expect((await fetch(`${server.url}/ready`)).status).toBe(503)
        expect(await isAlive(server)).toBe(true)
      } finally {
        disk.thaw()
      }
      await until(async () => (await fetch(`${server.url}/ready`)).ok)
      expect(await signIn(server)).toBe(200)
      await until(() => server.output.stdout.includes('database.resumed'))
      await workload.verify(server.url)
      await workload.verify(server.url)
      expect(await server.stop()).toMatchObject({ code: 0, stderr: '' })
    }))

  test('delays the start until it is over', () =>
    onDisk(async (disk) => {
      await (await serve(place(disk))).stop()
      disk.freeze()
      const running = start(place(disk))
      await Bun.sleep(500)
      disk.thaw()
      await until(() => running.output.stdout.includes('server.ready'))
      running.process.kill()
      expect((await running.finished).code).toBe(0)
    }))
})

describe.skipIf(!hasDisks)('a failing disk', () => {
  test('ends a running server at once with one line, and no acknowledged change is lost', () =>
    onDisk(async (disk) => {
      const workload = newWorkload(2)
      const server = await serve(place(disk))
      const work = workload.run(server.url)
      await workload.proceed(20)
      disk.turnReadOnly()
      const [finished, milliseconds] = await timed(server.finished)
      expectEnd(/stopped because (the file system is read-only|the disk reports an I\/O error)/, finished)
      expect(milliseconds).toBeLessThan(10_000)
      await work
      disk.remount()
      const again = await serve(place(disk))
      await workload.verify(again.url)
      await again.stop()
    }))

  test('that is mounted read-only fails the start with one line', () =>
    onDisk(async (disk) => {
      await (await serve(place(disk))).stop()
      disk.remount('loop,ro')
      for (const args of [[], ['user', 'list']])
        expectEnd(/Cannot write to DATA_DIR .*EROFS|read-only/, await run(args, place(disk)))
    }))
})
