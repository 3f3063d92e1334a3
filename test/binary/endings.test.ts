import { describe, expect, test } from 'bun:test'
import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { createDatabase } from '../postgresql.ts'
import { hasProgram } from '../requirements.ts'

/** A command before another one that makes it PID 1; undefined where this machine lets nobody (in a container, in a chroot). */
const asPid1 = findPid1Command()

import { accessToken, emptyDirectory, login, me, serve, start, untilReady } from './binary.ts'

const secretKey = { SECRET_KEY: 'k'.repeat(32) }

describe('the end', () => {
  test.each(['SIGTERM', 'SIGINT'] as const)('by %s is clean, on both databases', async (signal) => {
    for (const environment of [{}, { DATABASE_URL: await createDatabase(), ...secretKey }]) {
      const server = await serve({ environment })
      const { code, stdout, stderr } = await server.stop(signal)
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
      expect(stdout).toContain('server.stopped')
    }
  })

  test('answers what is under way', async () => {
    const server = await serve({ environment: { DATABASE_URL: await createDatabase(), ...secretKey } })
    const answers = Array.from({ length: 4 }, () => login(server.url))
    await Bun.sleep(30)
    const finished = server.stop()
    for (const answer of answers) expect((await answer).status).toBe(200)
    expect((await finished).code).toBe(0)
  })

  test.skipIf(process.platform !== 'linux')(
    'answers what is under way where no file can be opened any more',
    async () => {
      const server = await serve({
        command: ['sh', '-c', 'ulimit -n 600; exec "$0" "$@"'],
        environment: { SHUTDOWN_GRACE_SECONDS: '1', PASSWORD_MEMORY_KIB: '262144' },
      })
      const { hostname, port } = new URL(server.origin)
      // Its connection is there before, and is used again.
      expect((await login(server.url)).status).toBe(200)
      const held: Bun.Socket[] = []
      const hold = () =>
        Bun.connect({
          hostname,
          port: Number(port),
          socket: { data() {}, open: (socket) => void socket.write('GET ') },
        })
      for (let count = 0; count < 700; count++) held.push(await hold())
      await Bun.sleep(500)
      expect(readdirSync(`/proc/${server.process.pid}/fd`)).toHaveLength(600)
      const answer = login(server.url)
      await Bun.sleep(30)
      const finished = server.stop()
      expect((await answer).status).toBe(200)
      expect(await finished).toMatchObject({ code: 0, stderr: '' })
      for (const socket of held) socket.terminate()
    },
  )

  test.skipIf(asPid1 === undefined)('comes as PID 1 too', async () => {
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

describe.skipIf(process.platform === 'win32')('the embedded database where few files may be open', () => {
  test('is made, and opened after a kill -9', async () => {
    const directory = emptyDirectory()
    const command = ['sh', '-c', 'ulimit -n 256; exec "$0" "$@"']
    for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
      const server = await serve({ directory, command })
      expect((await login(server.url)).status).toBe(200)
      await server.stop(signal)
    }
  })
})

describe('kill -9 on the embedded database while clients log in', () => {
  test('loses no token that was handed out', async () => {
    const directory = emptyDirectory()
    const handedOut: string[] = []
    for (let round = 0; round < 20; round++) {
      const server = await serve({ directory, environment: { PASSWORD_MEMORY_KIB: '8192', PASSWORD_TIME_COST: '1' } })
      for (const token of handedOut) expect((await me(server.url, token)).status).toBe(200)
      const clients = Array.from({ length: 4 }, async () => {
        for (;;) handedOut.push(await accessToken(server.url))
      })
      const ended = Promise.allSettled(clients)
      await Bun.sleep(200 + Math.random() * 400)
      await server.stop('SIGKILL')
      await ended
    }
    const server = await serve({ directory })
    expect(handedOut.length).toBeGreaterThan(6)
    for (const token of handedOut) expect((await me(server.url, token)).status).toBe(200)
    await server.stop()
  })
})

describe('kill -9 on the embedded database while clients refresh', () => {
  test('lets each go on with its last token, or refuses it cleanly', async () => {
    const directory = emptyDirectory()
    const environment = {
      PASSWORD_MEMORY_KIB: '8192',
      PASSWORD_TIME_COST: '1',
      ADMIN_PASSWORD: 'a long enough pass phrase',
    }
    const obtain = async (url: string, fields: Record<string, string>) => {
      const response = await fetch(`${url}/auth/login`, { method: 'POST', body: new URLSearchParams(fields) })
      return {
        status: response.status,
        ...((await response.json()) as { refresh_token?: string; access_token?: string; error?: string }),
      }
    }
    const lastTokens: string[] = []
    for (let round = 0; round < 8; round++) {
      const server = await serve({ directory, environment })
      const clients = Array.from({ length: 4 }, async (_, index) => {
        const fields = { username: 'admin', password: 'a long enough pass phrase', scope: 'offline_access' }
        lastTokens[index] ??= (await obtain(server.url, fields)).refresh_token ?? ''
        for (;;) {
          const answer = await obtain(server.url, {
            grant_type: 'refresh_token',
            refresh_token: lastTokens[index] ?? '',
          })
          // What was acknowledged before the kill is there after it.
          expect(answer.status).toBe(200)
          lastTokens[index] = answer.refresh_token ?? ''
        }
      })
      const ended = Promise.allSettled(clients)
      await Bun.sleep(150 + Math.random() * 300)
      await server.stop('SIGKILL')
      for (const outcome of await ended) {
        // The clients end because nobody answers any more, and for no other reason.
        if (outcome.status === 'rejected') expect(String(outcome.reason)).not.toContain('toBe')
      }
    }
    const server = await serve({ directory, environment })
    for (const token of lastTokens) {
      const answer = await obtain(server.url, { grant_type: 'refresh_token', refresh_token: token })
      expect(answer.status).toBe(200)
      expect((await me(server.url, answer.access_token ?? '')).status).toBe(200)
    }
    await server.stop()
  })
})

async function childOf(pid: number): Promise<number> {
  const text = await Bun.file(`/proc/${pid}/task/${pid}/children`).text()
  return Number(text.trim().split(' ')[0])
}

function findPid1Command(): readonly string[] | undefined {
  if (!hasProgram('unshare', 'util-linux')) return undefined
  const ways = [['--user', '--map-root-user'], []].map((own) => ['unshare', ...own, '--pid', '--fork', '--kill-child'])
  const way = ways.find(([file = '', ...args]) => spawnSync(file, [...args, 'true']).status === 0)
  if (way) return way
  if (process.env.CI === 'true') throw new Error('no process can be made PID 1 here: unshare is not permitted')
  console.log('skipped: no process can be made PID 1 here (unshare is not permitted)')
  return undefined
}
