import { describe, expect, test } from 'bun:test'
import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import journal from '../../drizzle/meta/_journal.json'
import { createDatabase } from '../postgresql.ts'
import { accessToken, emptyDirectory, login, me, run, serve, start } from './binary.ts'
import { hasCurl, holdsTheContract } from './seedContract.ts'

/** As many as drizzle-kit has written. */
const all = journal.entries.length

const secretKey = { SECRET_KEY: 'k'.repeat(32) }

describe.skipIf(!hasCurl)('the compiled binary', () => {
  test('holds the seed contract in an empty directory with no environment at all', async () => {
    const directory = emptyDirectory()
    // On its default address and port, as nobody has told it anything; so this is the one test that needs port 8000.
    const free = spawnSync('curl', ['-s', 'http://127.0.0.1:8000/']).status === 7
    const server = await serve(free ? { directory, environment: { HOST: '', PORT: '' } } : { directory })
    holdsTheContract(server)
    const token = await accessToken(server.url)
    expect((await server.stop()).code).toBe(0)
    expect(readdirSync(directory)).toEqual(['data'])
    expect(statSync(join(directory, 'data')).mode & 0o777).toBe(0o700)
    expect(statSync(join(directory, 'data/secret.key')).mode & 0o777).toBe(0o600)

    const again = await serve({ directory })
    holdsTheContract(again)
    expect((await me(again.url, token)).status).toBe(200)
    expect(again.output.stdout).not.toContain('administrator.seeded')
    await again.stop()
  })

  test('holds it on PostgreSQL', async () => {
    const directory = emptyDirectory()
    const environment = { DATABASE_URL: await createDatabase(), ...secretKey }
    const server = await serve({ directory, environment })
    holdsTheContract(server)
    await server.stop()
    expect(readdirSync(directory)).toEqual([])
  })

  test('holds it at the root with BASE_PATH=', async () => {
    const server = await serve({ environment: { DATABASE_URL: await createDatabase(), ...secretKey, BASE_PATH: '' } })
    expect(server.url).toBe(server.origin)
    holdsTheContract(server)
    await server.stop()
  })

  test('is not moved by a hostile bunfig.toml, .env and package.json where it is started', async () => {
    const directory = emptyDirectory()
    writeFileSync(join(directory, 'bunfig.toml'), 'preload = ["./evil.ts"]\n[run]\npreload = ["./evil.ts"]\n')
    writeFileSync(join(directory, 'evil.ts'), 'console.log("EVIL"); process.exit(66)')
    writeFileSync(join(directory, '.env'), 'PORT=1\nADMIN_USERNAME=mallory\nSECRET_KEY=short\nLOG_LEVEL=silent\n')
    writeFileSync(join(directory, '.env.local'), 'BASE_PATH=/evil\n')
    writeFileSync(join(directory, 'package.json'), '{"type":"commonjs","main":"evil.ts"}')
    writeFileSync(join(directory, 'tsconfig.json'), '{"compilerOptions":{"paths":{"*":["./evil.ts"]}}}')
    mkdirSync(join(directory, 'node_modules/elysia'), { recursive: true })
    writeFileSync(join(directory, 'node_modules/elysia/index.js'), 'process.exit(66)')
    const server = await serve({ directory })
    holdsTheContract(server)
    expect((await server.stop()).stdout).not.toContain('EVIL')
  })

  test('seeds the administrator that the settings describe, without quarantine', async () => {
    const environment = {
      DATABASE_URL: await createDatabase(),
      ...secretKey,
      ADMIN_USERNAME: 'Root.User',
      ADMIN_PASSWORD: 'a long enough pass phrase',
      ADMIN_FULL_NAME: 'Ruth Ot',
    }
    const server = await serve({ environment })
    const token = await accessToken(server.url, 'root.user', 'a long enough pass phrase')
    expect(await (await me(server.url, token)).json()).toMatchObject({ username: 'Root.User', full_name: 'Ruth Ot' })
    const claims = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())
    expect(claims).toMatchObject({ aud: 'audittrail', roles: ['admin'], sub: 'Root.User' })
    expect((await server.stop()).stdout).not.toContain('administrator.must_change_password')

    const later = await serve({ environment: { ...environment, ADMIN_PASSWORD: 'another pass phrase' } })
    expect((await login(later.url, 'root.user', 'another pass phrase')).status).toBe(401)
    expect((await later.stop()).stdout).toContain('"setting":"ADMIN_PASSWORD"')
  })

  test('does not bring the administrator back once it was deleted', async () => {
    const environment = { DATABASE_URL: await createDatabase(), ...secretKey }
    await (await serve({ environment })).stop()
    const { default: postgres } = await import('postgres')
    const client = postgres(environment.DATABASE_URL, { max: 1 })
    await client`DELETE FROM users`
    const server = await serve({ environment })
    expect((await login(server.url)).status).toBe(401)
    await server.stop()
    expect(await client`SELECT FROM users`).toHaveLength(0)
    await client.end()
  })
})

describe('six at once on an empty PostgreSQL', () => {
  test('are healthy each time and make one administrator', async () => {
    for (let round = 0; round < 10; round++) {
      const environment = { DATABASE_URL: await createDatabase(), ...secretKey }
      const servers = await Promise.all(Array.from({ length: 6 }, () => serve({ environment })))
      const seeded = servers.filter(({ output }) => output.stdout.includes('administrator.seeded'))
      expect(seeded).toHaveLength(1)
      const token = await accessToken(servers[0]?.url ?? '')
      const answers = await Promise.all(servers.map(({ url }) => me(url, token)))
      expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200, 200])
      await Promise.all(servers.map((server) => server.stop()))
    }
  })
})

describe('commands', () => {
  test('--version and --help print and end with 0', async () => {
    expect(await run(['--version'])).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/),
      stderr: '',
    })
    const help = await run(['--help'])
    expect(help.code).toBe(0)
    for (const word of ['serve', 'migrate', 'seed', 'healthcheck', 'config', 'DATABASE_URL'])
      expect(help.stdout).toContain(word)
    expect((await run(['migrate', '--help'])).stdout).toContain('--status')
  })

  test.each([
    [['fly'], 'Unknown command "fly".'],
    [['--fly'], 'Unknown flag --fly for "serve". Run "audittrail serve --help".'],
    [['--constructor'], 'Unknown flag --constructor for "serve".'],
    [['migrate', '--fly'], 'Unknown flag --fly for "migrate".'],
    [['migrate', 'twice'], 'Unexpected argument "twice" for "migrate".'],
    [['--env-file'], 'Missing value FILE after --env-file'],
    [['--env-file', '/nowhere'], '--env-file: cannot read "/nowhere" (ENOENT)'],
  ])('%p is wrong usage: one line, exit 2, nothing started', async (args, line) => {
    const { code, stderr, stdout } = await run(args)
    expect(code).toBe(2)
    expect(stderr).toContain(line)
    expect(stderr.trim().split('\n')).toHaveLength(1)
    expect(stdout).toBe('')
  })

  test('a bad setting is one line, exit 2, nothing started', async () => {
    const directory = emptyDirectory()
    const { code, stderr } = await run([], { directory, environment: { PORT: 'http' } })
    expect(code).toBe(2)
    expect(stderr).toBe('audittrail: PORT must be a whole number from 0 to 65535 (got "http").\n')
    expect(readdirSync(directory)).toEqual([])
  })

  test('config shows the settings and hides the secrets', async () => {
    const environment = { DATABASE_URL: 'postgresql://u:hidden@h/x', SECRET_KEY: 'hidden'.repeat(6), PORT: '9000' }
    const { code, stdout } = await run(['config'], { environment })
    expect(code).toBe(0)
    expect(stdout).toContain('PORT=9000')
    expect(stdout).toContain('DATABASE_URL=(set)')
    expect(stdout).not.toContain('hidden')
    expect(JSON.parse((await run(['config', '--json'], { environment })).stdout).PORT).toEqual({
      value: 9000,
      source: 'environment',
    })
  })

  test('migrate and seed do their part and can be repeated', async () => {
    const environment = { DATABASE_URL: await createDatabase() }
    expect((await run(['migrate', '--status'], { environment })).stdout).toStartWith(`applied 0\npending ${all}\n`)
    expect((await run(['migrate'], { environment })).stdout).toBe(`Migrations applied: ${all}.\n`)
    expect((await run(['migrate'], { environment })).stdout).toBe('Nothing to migrate.\n')
    expect((await run(['seed'], { environment })).stdout).toBe('Administrator admin created.\n')
    expect((await run(['seed'], { environment })).stdout).toStartWith('Nothing to seed')
  })

  test('migrate and seed work on the embedded database', async () => {
    const directory = emptyDirectory()
    expect((await run(['migrate'], { directory })).stdout).toBe(`Migrations applied: ${all}.\n`)
    expect((await run(['seed'], { directory })).stdout).toBe('Administrator admin created.\n')
    expect((await run(['seed'], { directory })).stdout).toStartWith('Nothing to seed')
  })

  test('healthcheck is 0 beside a running server and 1 without', async () => {
    const server = await serve({ environment: { DATABASE_URL: await createDatabase(), ...secretKey } })
    const environment = { PORT: new URL(server.url).port }
    expect((await run(['healthcheck'], { environment })).code).toBe(0)
    expect((await run(['healthcheck', '--ready'], { environment })).code).toBe(0)
    const proxied = {
      ...environment,
      http_proxy: 'http://127.0.0.1:9',
      HTTP_PROXY: 'http://127.0.0.1:9',
      ALL_PROXY: 'http://127.0.0.1:9',
    }
    expect((await run(['healthcheck'], { environment: proxied })).code).toBe(0)
    await server.stop()
    const gone = await run(['healthcheck'], { environment })
    expect(gone.code).toBe(1)
    expect(gone.stderr).toContain('does not respond')
  })
})

describe('what is in the way', () => {
  test('a taken port is one line, exit 1', async () => {
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

  test('a held DATA_DIR names its holder, exit 1; after a kill the lock is free', async () => {
    const directory = emptyDirectory()
    const server = await serve({ directory })
    const second = await run([], { directory, environment: { HOST: '127.0.0.1', PORT: '0' } })
    expect(second.code).toBe(1)
    expect(second.stderr).toContain(`in use by another AuditTrail (process ${server.process.pid} on `)
    expect(second.stderr.trim().split('\n')).toHaveLength(1)
    expect((await run(['migrate'], { directory })).stdout).toBe('Nothing to migrate.\n')
    expect((await (await login(server.url)).json()) as object).toHaveProperty('access_token')
    await server.stop('SIGKILL')
    await (await serve({ directory })).stop()
  })

  test('a DATA_DIR that cannot be made is one line, exit 1', async () => {
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
  ])('a wrong %s is one line without the password, exit 1', async (_what, change, sqlState) => {
    const url = change(new URL(await createDatabase())).href
    const { code, stderr } = await run([], { environment: { DATABASE_URL: url, ...secretKey, PORT: '0' } })
    expect(code).toBe(1)
    expect(stderr).toContain(`(${sqlState})`)
    expect(stderr).not.toContain('hidden')
    expect(stderr.trim().split('\n')).toHaveLength(1)
  })

  test('an unreachable database: it serves, answers 503, and goes on by itself when the database comes', async () => {
    const { freePort } = await import('../postgresqlServer.ts')
    const real = new URL(await createDatabase())
    const port = await freePort()
    const away = new URL(real)
    away.port = String(port)
    const running = start({ environment: { DATABASE_URL: away.href, ...secretKey, HOST: '127.0.0.1', PORT: '0' } })
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

async function lineWith(output: { stdout: string }, event: string): Promise<string> {
  for (let attempt = 0; attempt < 600; attempt++) {
    const line = output.stdout.split('\n').find((candidate) => candidate.includes(event))
    if (line) return /http:\/\/[^"\s]+/.exec(line)?.[0] ?? ''
    await Bun.sleep(25)
  }
  throw new Error(`no line ${event} within 15 s:\n${output.stdout}`)
}

/** Hands every byte on to the real server: the database that has "come up". */
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
