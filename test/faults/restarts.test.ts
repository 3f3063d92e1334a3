import { describe, expect, test } from 'bun:test'
import { connect, type Socket } from 'node:net'
import { shutdownLimits } from '../../src/cli/serve/shutdown.ts'
import { accessToken, login, me, type Running, type Server, serve, start } from '../binary/binary.ts'
import { type Change, hasNginx, startNginx } from '../deploy/nginx.ts'
import { createDatabase } from '../postgresql.ts'
import { freePort } from '../postgresqlServer.ts'
import { timed } from './endings.ts'
import { startRollingLoad } from './rollingLoad.ts'

const password = 'a long enough pass phrase'
const cheap = { PASSWORD_MEMORY_KIB: '8192', PASSWORD_TIME_COST: '1' }
const environment = async (more: Readonly<Record<string, string>> = {}) => ({
  DATABASE_URL: await createDatabase(),
  SECRET_KEY: 'k'.repeat(32),
  ADMIN_PASSWORD: password,
  ...cheap,
  ...more,
})

describe('after SIGTERM', () => {
  test('/ready fails at once, requests are served until the grace period ends, and each response closes its connection', async () => {
    const server = await serve({ environment: await environment({ SHUTDOWN_GRACE_SECONDS: '5' }) })
    const token = await accessToken(server.url, 'admin', password)
    expect((await fetch(`${server.url}/ready`)).status).toBe(200)
    const connection = await converse(server)
    expect((await connection.get('/api/health')).headers).not.toMatch(/^connection:/im)

    const finished = server.stop()
    await untilItSays(server, 'server.stopping')
    const ready = await fetch(`${server.url}/ready`)
    expect([ready.status, ready.headers.get('retry-after')]).toEqual([503, '2'])
    expect((await me(server.url, token)).status).toBe(200)
    expect((await login(server.url, 'admin', password)).status).toBe(200)
    expect((await connection.get('/api/health')).headers).toMatch(/^connection: close$/im)
    expect(await connection.ended).toBe('closed')
    expect(await finished).toMatchObject({ code: 0, stderr: '' })
    expect(await refusal(server)).toBe('ECONNREFUSED')
  })

  test('requests in flight are completed: queued logins and refreshes', async () => {
    const slow = { PASSWORD_CONCURRENCY: '1', PASSWORD_MEMORY_KIB: '32768' }
    const server = await serve({ environment: await environment(slow) })
    const signIn = () => post(server, '/auth/login', { username: 'admin', password, scope: 'offline_access' })
    const { refresh_token = '' } = (await (await signIn()).json()) as { refresh_token?: string }
    const underWay = [
      ...Array.from({ length: 12 }, signIn),
      ...Array.from({ length: 4 }, () => post(server, '/auth/refresh', { refresh_token })),
    ]
    // The first response shows that the others have arrived.
    await Promise.race(underWay.slice(0, 12))
    const finished = server.stop()
    for (const answer of underWay) expect((await answer).status).toBe(200)
    expect((await finished).code).toBe(0)
  })

  test('idle connections and partial heads and bodies do not delay the end', async () => {
    const server = await serve({ environment: await environment() })
    const idle = await converse(server)
    await idle.get('/api/health')
    const silent = await converse(server)
    const halfHead = await converse(server)
    halfHead.write('GET /api/health HTTP/1.1\r\nHo')
    const halfBody = await converse(server)
    halfBody.write(loginHead(60))
    halfBody.write('username=admin&pass')
    await Bun.sleep(300)
    await idle.get('/api/health')
    const [{ code }, milliseconds] = await timed(server.stop())
    // Before the seven seconds after which all requests are given up.
    expect(milliseconds).toBeLessThan(5000)
    expect(code).toBe(0)
    expect(halfBody.received()).toMatch(/^HTTP\/1\.1 503 /)
    expect(halfBody.received()).toMatch(/^connection: close\r$/im)
    // The kernel held it back and resets its client once that sends.
    silent.write('GET ')
    for (const connection of [idle, silent, halfHead, halfBody])
      expect(await connection.ended).toMatch(/^(closed|reset)$/)
  })

  test('a body in transit still arrives', async () => {
    const server = await serve({ environment: await environment() })
    const body = new URLSearchParams({ username: 'admin', password }).toString()
    const connection = await converse(server)
    connection.write(loginHead(body.length))
    connection.write(body.slice(0, 10))
    await Bun.sleep(300)
    await fetch(`${server.url}/health`)
    const finished = server.stop()
    await untilItSays(server, 'server.stopping')
    await Bun.sleep(100)
    connection.write(body.slice(10))
    await connection.ended
    expect(connection.received()).toMatch(/^HTTP\/1\.1 200 /)
    expect((await finished).code).toBe(0)
  })

  test('a request that takes too long gets 503, before Docker kills the container', async () => {
    const slow = { PASSWORD_CONCURRENCY: '1', PASSWORD_MEMORY_KIB: '131072', PASSWORD_TIME_COST: '8' }
    const server = await serve({ environment: await environment({ ...slow, SHUTDOWN_GRACE_SECONDS: '1' }) })
    const answers = Array.from({ length: 60 }, () => login(server.url, 'admin', password))
    await Bun.sleep(500)
    // Docker gives a container ten seconds, of which one is the grace period.
    expect(shutdownLimits.deadline).toBeLessThan(9000)
    const { code } = await server.stop()
    expect(code).toBe(0)
    const statuses = (await Promise.all(answers)).map(({ status }) => status)
    expect([...new Set(statuses)].toSorted()).toEqual([200, 503])
  })

  test('a second signal ends the process at once', async () => {
    const server = await serve({ environment: await environment({ SHUTDOWN_GRACE_SECONDS: '60' }) })
    server.process.kill('SIGTERM')
    await untilItSays(server, 'server.stopping')
    const { code } = await server.stop()
    expect(code).toBe(1)
  })

  test('Ctrl-C has no grace period', async () => {
    const server = await serve({ environment: await environment({ SHUTDOWN_GRACE_SECONDS: '300' }) })
    expect((await server.stop('SIGINT')).code).toBe(0)
  })
})

describe('SIGTERM during startup', () => {
  const starting = (more: Readonly<Record<string, string>>): Running =>
    start({ environment: { SECRET_KEY: 'k'.repeat(32), HOST: '127.0.0.1', ...more } })

  test('ends the process while the database is unreachable', async () => {
    const running = starting({ PORT: '0', DATABASE_URL: 'postgresql://nobody@127.0.0.1:1/nothing' })
    await untilItSays(running, 'server.listening')
    await Bun.sleep(500)
    running.process.kill('SIGTERM')
    const { code, stderr, stdout } = await running.finished
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toContain('server.stopped')
  })

  test.each(['PostgreSQL', 'the embedded database'])(
    'ends the process before everything is loaded, on %s',
    async (database) => {
      for (let delay = 0; delay < 200; delay += 40) {
        const port = await freePort()
        const running = starting({
          PORT: String(port),
          ...(database === 'PostgreSQL' ? { DATABASE_URL: await createDatabase() } : {}),
        })
        // By then the signal handlers are installed.
        while ((await refusal({ origin: `http://127.0.0.1:${port}` })) !== undefined) await Bun.sleep(1)
        await Bun.sleep(delay)
        running.process.kill('SIGTERM')
        expect(await running.finished).toMatchObject({ code: 0, stderr: '' })
      }
    },
  )
})

describe.skipIf(!hasNginx)('two replicas behind the shipped Nginx configuration, restarted in turn', () => {
  test('serve every request under load, ten times', async () => {
    const ports = [await freePort(), await freePort()]
    const common = await environment({ TRUSTED_PROXIES: '127.0.0.1', SHUTDOWN_GRACE_SECONDS: '1' })
    const boot = (replica: number) => serve({ environment: { ...common, PORT: String(ports[replica]) } })
    const replicas = [await boot(0), await boot(1)]
    const twoReplicas: Change[] = [
      ['    # server api-2:8000 ', `    server 127.0.0.1:${ports[1]} `],
      // All clients share one address here.
      ['limit_req zone=sign_in burst=20 nodelay;', ''],
    ]
    const nginx = await startNginx('nginx.conf', `127.0.0.1:${ports[0]}`, twoReplicas)
    const load = await startRollingLoad(nginx.url, password)
    for (let restart = 0; restart < 10; restart++) {
      const before = load.succeeded()
      const replica = restart % 2
      expect(await replicas[replica]?.stop()).toMatchObject({ code: 0, stderr: '' })
      replicas[replica] = await boot(replica)
      expect(load.failures).toEqual([])
      expect(load.succeeded()).toBeGreaterThan(before)
    }
    await load.stop()
    expect(load.failures).toEqual([])
    await nginx.stop()
    await Promise.all(replicas.map((replica) => replica.stop()))
  })
})

function post({ url }: Pick<Server, 'url'>, path: string, fields: Record<string, string>): Promise<Response> {
  return fetch(`${url}${path}`, { method: 'POST', body: new URLSearchParams(fields) })
}

function loginHead(length: number): string {
  const type = 'application/x-www-form-urlencoded'
  return `POST /api/auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: ${type}\r\nContent-Length: ${length}\r\n\r\n`
}

interface Conversation {
  write(text: string): void
  /** The head of the response to a GET. */
  get(path: string): Promise<{ headers: string }>
  received(): string
  readonly ended: Promise<'closed' | 'reset'>
}

/** One raw connection. fetch would choose one itself. */
async function converse({ origin }: Pick<Server, 'origin'>): Promise<Conversation> {
  const { hostname, port } = new URL(origin)
  const socket: Socket = connect(Number(port), hostname)
  const ended = Promise.withResolvers<'closed' | 'reset'>()
  let received = ''
  let heard = () => {}
  socket.on('data', (chunk) => {
    received += chunk
    heard()
  })
  socket.on('error', () => ended.resolve('reset'))
  socket.on('close', () => ended.resolve('closed'))
  const connected = Promise.withResolvers<void>()
  socket.on('connect', () => connected.resolve())
  await connected.promise
  return {
    write: (text) => socket.write(text),
    get: (path) => {
      const answered = Promise.withResolvers<{ headers: string }>()
      received = ''
      heard = () => {
        const end = received.indexOf('\r\n\r\n')
        if (end >= 0) answered.resolve({ headers: received.slice(0, end).replaceAll('\r', '') })
      }
      socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`)
      return answered.promise
    },
    received: () => received,
    ended: ended.promise,
  }
}

/** The error code with which a connection is refused. Undefined if it is accepted. */
function refusal({ origin }: Pick<Server, 'origin'>): Promise<string | undefined> {
  const { promise, resolve } = Promise.withResolvers<string | undefined>()
  const { hostname, port } = new URL(origin)
  const socket = connect(Number(port), hostname, () => {
    socket.destroy()
    resolve(undefined)
  })
  socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code))
  return promise
}

async function untilItSays({ output }: Pick<Running, 'output'>, event: string): Promise<void> {
  while (!output.stdout.includes(`"${event}"`)) await Bun.sleep(5)
}
