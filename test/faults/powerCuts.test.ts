import { describe, expect, test } from 'bun:test'
import { existsSync } from 'node:fs'
import { login, serve, start } from '../binary/binary.ts'
import { until } from '../condition.ts'
import { hasDisks, onDisk, place } from './disk.ts'
import { signIn } from './endings.ts'
import { newWorkload, password } from './workload.ts'

describe.skipIf(!hasDisks)('a power cut', () => {
  test('loses no acknowledged change', () =>
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

  test('right after the first start leaves a complete database with its key', () =>
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
      await until(() => existsSync(`/proc/${running.process.pid}/fd`) && running.output.stdout !== '')
      await Bun.sleep(milliseconds)
      disk.cutPower()
      running.process.kill('SIGKILL')
      await running.finished
      disk.remount()
      const server = await serve(place(disk))
      expect(await signIn(server)).toBe(200)
      await server.stop()
    }),
  )
})
