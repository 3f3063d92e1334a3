import { describe, expect, test } from 'bun:test'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { migratedDatabase } from '../migratedDatabase.ts'
import { createDatabase } from '../postgresql.ts'
import { emptyDirectory, login, run, serve, start } from './binary.ts'

const lowCost = { PASSWORD_MEMORY_KIB: '8192', PASSWORD_TIME_COST: '1' }
const secretKey = { SECRET_KEY: 'k'.repeat(32) }

describe('startup', () => {
  test('fails in one line when the port is in use', async () => {
    const environment = { DATABASE_URL: await createDatabase(), ...secretKey }
    const server = await serve({ environment })
    const port = new URL(server.url).port
    const { code, stderr } = await run([], { environment: { ...environment, HOST: '127.0.0.1', PORT: port } })
    expect(code).toBe(1)
    expect(stderr).toBe(
      `audittrail: Port ${port} on 127.0.0.1 is already in use. Stop the other program, or set PORT to another port.\n`,
    )
    await server.stop()
  })

  test('fails with the name of the process that holds DATA_DIR, until that is killed', async () => {
    const directory = emptyDirectory()
    const server = await serve({ directory })
    const second = await run([], { directory, environment: { HOST: '127.0.0.1', PORT: '0' } })
    expect(second.code).toBe(1)
    expect(second.stderr).toContain(`in use by another AuditTrail (process ${server.process.pid} on `)
    expect(second.stderr.trim().split('\n')).toHaveLength(1)
    expect((await run(['migrate'], { directory })).stdout).toBe('Nothing to do: the database is up to date.\n')
    expect((await (await login(server.url)).json()) as object).toHaveProperty('access_token')
    await server.stop('SIGKILL')
    await (await serve({ directory })).stop()
  })

  test('fails in one line when DATA_DIR cannot be created', async () => {
    const directory = emptyDirectory()
    writeFileSync(join(directory, 'data'), 'a file')
    const { code, stderr } = await run([], { directory })
    expect(code).toBe(1)
    expect(stderr.trim().split('\n')).toHaveLength(1)
    expect(stderr).toContain('DATA_DIR')
  })

  test.each([
    ['role', (url: URL) => Object.assign(url, { username: 'nobody_at_all', password: 'hidden' }), '28000'],
    ['database name', (url: URL) => Object.assign(url, { pathname: '/nowhere', password: 'hidden' }), '3D000'],
  ])('fails in one line without the password when the database rejects the %s', async (_what, change, sqlState) => {
    const url = change(new URL(await createDatabase())).href
    const { code, stderr } = await run([], { environment: { DATABASE_URL: url, ...secretKey, PORT: '0' } })
    expect(code).toBe(1)
    expect(stderr).toContain(`(${sqlState})`)
    expect(stderr).not.toContain('hidden')
    expect(stderr.trim().split('\n')).toHaveLength(1)
  })

  test('returns 200 for /ready only once a login succeeds, on a first start and on later ones', async () => {
    const { freePort } = await import('../postgresqlServer.ts')
    const environment = { DATABASE_URL: await createDatabase(), ...secretKey, HOST: '127.0.0.1' }
    for (let round = 0; round < 3; round++) {
      const port = await freePort()
      const running = start({ environment: { ...environment, PORT: String(port) } })
      const url = `http://127.0.0.1:${port}/api`
      await untilOk(`${url}/ready`)
      expect((await login(url)).status).toBe(200)
      running.process.kill('SIGTERM')
      await running.finished
    }
  })

  test.each(['PostgreSQL', 'the embedded database'])('a first sign-in waits for the seed on %s', async (database) => {
    const { freePort } = await import('../postgresqlServer.ts')
    const port = await freePort()
    const settings =
      database === 'PostgreSQL'
        ? { DATABASE_URL: await createDatabase('', await migratedDatabase()), ...secretKey }
        : {}
    const running = start({ environment: { ...settings, ...lowCost, HOST: '127.0.0.1', PORT: String(port) } })
    const url = `http://127.0.0.1:${port}/api`
    await untilOk(`${url}/health`)
    expect((await login(url)).status).toBe(200)
    running.process.kill('SIGTERM')
    await running.finished
  })

  test('serves 503 while the database is unreachable, and recovers on its own', async () => {
    const { freePort } = await import('../postgresqlServer.ts')
    const real = new URL(await createDatabase())
    const port = await freePort()
    const unreachable = new URL(real)
    unreachable.port = String(port)
    const running = start({
      environment: { DATABASE_URL: unreachable.href, ...secretKey, HOST: '127.0.0.1', PORT: '0' },
    })
    const url = await lineWith(running.output, 'server.listening')
    expect((await fetch(`${url}/health`)).status).toBe(200)
    for (const response of [await fetch(`${url}/ready`), await login(url)]) {
      expect(response.status).toBe(503)
      expect(response.headers.get('retry-after')).toBe('2')
    }
    const bridge = Bun.listen({
      hostname: '127.0.0.1',
      port,
      socket: bridgeTo(real),
    })
    await lineWith(running.output, 'server.ready')
    expect((await login(url)).status).toBe(200)
    running.process.kill('SIGTERM')
    expect((await running.finished).code).toBe(0)
    bridge.stop(true)
  })
})

async function untilOk(url: string): Promise<void> {
  const isOk = () =>
    fetch(url).then(
      ({ ok }) => ok,
      () => false,
    )
  while (!(await isOk())) await Bun.sleep(2)
}

async function lineWith(output: { stdout: string }, event: string): Promise<string> {
  for (let attempt = 0; attempt < 2400; attempt++) {
    const line = output.stdout.split('\n').find((candidate) => candidate.includes(event))
    if (line) return /http:\/\/[^"\s]+/.exec(line)?.[0] ?? ''
    await Bun.sleep(25)
  }
  throw new Error(`no line ${event} within 60 s:\n${output.stdout}`)
}

/** Forwards all bytes to the real server, as if the database had just started. */
function bridgeTo(target: URL) {
  type Data = { upstream: Promise<Bun.Socket> }
  return {
    open(socket: Bun.Socket<Data>) {
      socket.data = {
        upstream: Bun.connect({
          hostname: target.hostname,
          port: Number(target.port),
          socket: {
            data: (_upstream, bytes) => void socket.write(bytes),
            close: () => void socket.end(),
          },
        }),
      }
    },
    async data(socket: Bun.Socket<Data>, bytes: Buffer) {
      const copy = Buffer.from(bytes)
      ;(await socket.data.upstream).write(copy)
    },
    async close(socket: Bun.Socket<Data>) {
      ;(await socket.data.upstream).end()
    },
  }
}
