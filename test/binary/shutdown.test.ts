import { describe, expect, test } from 'bun:test'
import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { until } from '../condition.ts'
import { createDatabase } from '../postgresql.ts'
import { hasProgram } from '../requirements.ts'
import { emptyDirectory, login, serve, start, untilReady } from './binary.ts'

/**
 * A prefix that makes a command PID 1. Undefined where this machine does not allow that, as in a
 * container.
 */
const asPid1 = findPid1Command()

const secretKey = { SECRET_KEY: 'k'.repeat(32) }
/**
 * Without time to finish before the listener stops. The hashes cost little, because they give way
 * to the tests beside this one, and get 503 after seven seconds.
 */
const inProgress = { SHUTDOWN_GRACE_SECONDS: '0', PASSWORD_TIME_COST: '1' }

describe('shutdown', () => {
  test.each(['SIGTERM', 'SIGINT'] as const)('by %s exits with 0 on both databases', async (signal) => {
    for (const environment of [{}, { DATABASE_URL: await createDatabase(), ...secretKey }]) {
      const server = await serve({ environment })
      const { code, stdout, stderr } = await server.stop(signal)
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
      expect(stdout).toContain('server.stopped')
    }
  })

  test('responds to the requests in progress', async () => {
    const environment = {
      DATABASE_URL: await createDatabase(),
      ...secretKey,
      ...inProgress,
      PASSWORD_MEMORY_KIB: '16384',
    }
    const server = await serve({ environment })
    const responses = Array.from({ length: 12 }, () => login(server.url))
    // The first response shows that the others have arrived.
    await Promise.race(responses)
    const finished = server.stop()
    for (const response of responses) expect((await response).status).toBe(200)
    expect((await finished).code).toBe(0)
  })

  test.skipIf(process.platform !== 'linux')(
    'responds to the requests in progress when no more files can be opened',
    async () => {
      const server = await serve({
        command: ['sh', '-c', 'ulimit -n 600; exec "$0" "$@"'],
        environment: { ...inProgress, PASSWORD_MEMORY_KIB: '131072', PASSWORD_TIME_COST: '8', NATIVE_ARGON2: 'off' },
      })
      const { hostname, port } = new URL(server.origin)
      // Opens a connection that the request below reuses.
      expect((await login(server.url)).status).toBe(200)
      const held: Bun.Socket[] = []
      const hold = () =>
        Bun.connect({
          hostname,
          port: Number(port),
          socket: { data() {}, open: (socket) => void socket.write('GET ') },
        })
      for (let count = 0; count < 700; count++) held.push(await hold())
      await until(() => readdirSync(`/proc/${server.process.pid}/fd`).length === 600)
      const response = login(server.url)
      await Bun.sleep(200)
      expect(Bun.peek.status(response)).toBe('pending')
      const finished = server.stop()
      expect((await response).status).toBe(200)
      expect(await finished).toMatchObject({ code: 0, stderr: '' })
      for (const socket of held) socket.terminate()
    },
  )

  test.skipIf(asPid1 === undefined)('works as PID 1', async () => {
    const running = start({
      command: asPid1 ?? [],
      environment: { DATABASE_URL: await createDatabase(), ...secretKey, HOST: '127.0.0.1', PORT: '0' },
    })
    await untilReady(running)
    const child = await childOf(running.process.pid ?? 0)
    process.kill(child, 'SIGTERM')
    const { code, stdout } = await running.finished
    expect(stdout).toContain('server.stopped')
    expect(code).toBe(0)
  })
})

describe.skipIf(process.platform === 'win32')('the embedded database with a limit of 256 open files', () => {
  test('is created, and opens after kill -9', async () => {
    const directory = emptyDirectory()
    const command = ['sh', '-c', 'ulimit -n 256; exec "$0" "$@"']
    for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
      const server = await serve({ directory, command })
      expect((await login(server.url)).status).toBe(200)
      await server.stop(signal)
    }
  })
})

async function childOf(pid: number): Promise<number> {
  const text = await Bun.file(`/proc/${pid}/task/${pid}/children`).text()
  return Number(text.trim().split(' ')[0])
}

function findPid1Command(): readonly string[] | undefined {
  if (!hasProgram('unshare', 'util-linux')) return undefined
  const candidates = [['--user', '--map-root-user'], []].map((own) => [
    'unshare',
    ...own,
    '--pid',
    '--fork',
    '--kill-child',
  ])
  const command = candidates.find(([file = '', ...args]) => spawnSync(file, [...args, 'true']).status === 0)
  if (command) return command
  if (process.env.CI === 'true') throw new Error('cannot make a process PID 1: unshare is not permitted')
  console.log('skipped: cannot make a process PID 1 (unshare is not permitted)')
  return undefined
}
