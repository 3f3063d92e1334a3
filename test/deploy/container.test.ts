import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import { SQL } from 'bun'
import { accessToken, binary, login, me } from '../binary/binary.ts'
import { hasCurl, holdsTheContract } from '../binary/seedContract.ts'
import { createDatabase } from '../postgresql.ts'
import { freePort } from '../postgresqlServer.ts'
import { type Engine, hasEngine, makeBaseImages, startEngine, statusOf } from './engine.ts'

const repository = join(import.meta.dir, '../..')
const secretKey = 'k'.repeat(32)
/** As docker-compose.yml runs it. */
const confined = ['--read-only', '--cap-drop', 'ALL', '--security-opt', 'no-new-privileges', '--tmpfs', '/tmp']

describe.skipIf(!(hasEngine && hasCurl))('the image of deploy/Dockerfile in a Docker engine', () => {
  let engine: Engine
  beforeAll(async () => {
    engine = await startEngine()
    makeBaseImages(engine, binary)
    const proxies = ['HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY'].filter((name) => process.env[name])
    const args = proxies.flatMap((name) => ['--build-arg', name])
    engine.docker(
      'build',
      '--network=host',
      '--tag=audittrail',
      ...args,
      `--file=${repository}/deploy/Dockerfile`,
      repository,
    )
  }, 600_000)
  afterAll(async () => {
    await engine.stop()
  }, 60_000)

  test('contains the executable, no shell, no secret, and a user that is not root', () => {
    const [image] = JSON.parse(engine.docker('image', 'inspect', 'audittrail'))
    expect(image.Config).toMatchObject({
      User: '65532:65532',
      Entrypoint: ['/usr/local/bin/audittrail'],
      Cmd: ['serve'],
      Volumes: { '/data': {} },
      ExposedPorts: { '8000/tcp': {} },
    })
    expect(image.Config.Healthcheck.Test).toEqual(['CMD', '/usr/local/bin/audittrail', 'healthcheck'])
    expect(image.Config.Env.filter((line: string) => /KEY|PASSWORD|URL/.test(line))).toEqual([])
    expect(engine.docker('run', '--rm', '--network=none', ...confined, 'audittrail', '--version')).toMatch(
      /^\d+\.\d+\.\d+$/,
    )
  })

  test('is confined, healthy in 256 MB, fulfills the contract on PostgreSQL, and ends cleanly as PID 1', async () => {
    if (engine.docker('info', '--format={{.MemoryLimit}}') !== 'true')
      console.log('this machine has no memory control group: nothing here is held to 256 MB')
    const container = await run({ DATABASE_URL: await createDatabase(), SECRET_KEY: secretKey }, '256m')
    await untilReady(container.url)
    holdsTheContract(container)
    expect(statusOf(container.pid, 'Uid')).toStartWith('65532 ')
    expect(statusOf(container.pid, 'NSpid')).toEndWith(' 1')
    for (const set of ['CapEff', 'CapPrm', 'CapBnd']) expect(statusOf(container.pid, set)).toMatch(/^0+$/)
    expect(statusOf(container.pid, 'NoNewPrivs')).toBe('1')
    const answers = await Promise.all(Array.from({ length: 24 }, () => login(container.url)))
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200))
    expect(engine.docker('exec', container.id, '/usr/local/bin/audittrail', 'healthcheck', '--ready')).toBe('')

    const underWay = login(container.url)
    await Bun.sleep(20)
    engine.docker('stop', '--time=15', container.id)
    expect((await underWay).status).toBe(200)
    // Killed after 15 seconds, it would exit with 137.
    expect(stateOf(container.id)).toMatchObject({ ExitCode: 0, OOMKilled: false, Status: 'exited' })
    expect(engine.docker('logs', container.id)).toContain('server.stopped')
    expect(engine.docker('logs', container.id)).not.toContain('hash.addon_unavailable')
  })

  test('keeps the embedded database and the key in /data and nothing elsewhere', async () => {
    const first = await run({}, '512m')
    await untilReady(first.url)
    holdsTheContract(first)
    const token = await accessToken(first.url)
    expect(engine.docker('diff', first.id)).toBe('')
    engine.docker('stop', '--time=15', first.id)
    expect(stateOf(first.id)).toMatchObject({ ExitCode: 0, OOMKilled: false })

    engine.docker('start', first.id)
    await untilReady(first.url)
    expect((await me(first.url, token)).status).toBe(200)
    // The process of every container is PID 1. A lock by process id would block the start after a
    // crash.
    engine.docker('kill', first.id)
    engine.docker('start', first.id)
    await untilReady(first.url)
    expect((await me(first.url, token)).status).toBe(200)
  })

  test('survives 200 sign-ins at once in 256 MB with the embedded database', async () => {
    const { id, url } = await run({}, '256m', ['--memory-swap=256m'])
    await untilReady(url)
    for (let round = 0; round < 3; round++) {
      const responses = await Promise.all(Array.from({ length: 200 }, () => login(url)))
      const statuses = new Set(responses.map(({ status }) => status))
      expect([...statuses].toSorted()).toEqual([200, 503])
    }
    expect(stateOf(id)).toMatchObject({ OOMKilled: false, Status: 'running' })
    expect(engine.docker('logs', id)).not.toContain('hash.addon_unavailable')
  })

  test.each([
    ['argon2 of 100 MiB, without the native addon', 'off', 4, ['$argon2id$v=19$m=102400,t=2,p=1$']],
    ['scrypt of 64 and 32 MiB', 'on', 10, ['$scrypt$ln=16,r=8,p=1$', '$scrypt$ln=15,r=8,p=1$']],
  ])('survives rejected sign-ins in 300 MB beside adopted %s', async (_what, NATIVE_ARGON2, rounds, prefixes) => {
    const DATABASE_URL = await createDatabase()
    const settings = { SECRET_KEY: secretKey, TRUSTED_PROXIES: '127.0.0.1', PASSWORD_CONCURRENCY: '2', NATIVE_ARGON2 }
    const { id, url } = await run({ ...settings, DATABASE_URL }, '300m', ['--memory-swap=300m'])
    await untilReady(url)
    const sql = new SQL(DATABASE_URL, { max: 1 })
    for (const [at, prefix] of prefixes.entries())
      await sql`INSERT INTO users (username, hashed_password, full_name)
        VALUES (${`adopted${at}`}, ${`${prefix}${'A'.repeat(22)}$${'A'.repeat(43)}`}, 'Adopted')`
    await sql.close()
    const reject = async (username: string, address: number) => {
      const headers = { 'x-forwarded-for': `198.51.100.${address}` }
      const body = new URLSearchParams({ username, password: 'wrong' })
      return (await fetch(`${url}/auth/login`, { method: 'POST', headers, body })).status
    }
    // These meet the hashes, and all later ones compute some like them.
    for (const at of prefixes.keys()) expect(await reject(`adopted${at}`, at)).toBe(401)
    for (let round = 0; round < rounds; round++) {
      const unknown = Array.from({ length: 8 }, (_, at) => reject(`user${round}-${at}`, 8 * round + at))
      expect(new Set(await Promise.all(unknown))).toEqual(new Set([401]))
    }
    expect(stateOf(id)).toMatchObject({ OOMKilled: false, Status: 'running' })
  })

  test('is unhealthy when it does not respond', async () => {
    const { id } = await run({ DATABASE_URL: await createDatabase(), SECRET_KEY: secretKey }, '256m', [
      '--health-interval=1s',
      '--health-timeout=1s',
      '--health-retries=2',
      '--health-start-period=0s',
    ])
    process.kill(Number(engine.docker('inspect', '--format={{.State.Pid}}', id)), 'SIGSTOP')
    await untilHealthy(id, 'unhealthy')
  })

  interface Container {
    readonly id: string
    /** Its PID 1 as seen from the host. */
    readonly pid: string
    readonly url: string
    readonly origin: string
  }

  async function run(environment: Record<string, string>, memory: string, options: string[] = []): Promise<Container> {
    const port = await freePort()
    const settings = Object.entries({ HOST: '127.0.0.1', PORT: String(port), ...environment })
    const variables = settings.flatMap(([name, value]) => ['--env', `${name}=${value}`])
    const limits = ['--memory', memory, '--network=host', '--health-interval=1s', ...options]
    const id = engine.docker('run', '--detach', ...confined, ...limits, ...variables, 'audittrail')
    await untilHealthy(id)
    const pid = engine.docker('inspect', '--format={{.State.Pid}}', id)
    return { id, pid, origin: `http://127.0.0.1:${port}`, url: `http://127.0.0.1:${port}/api` }
  }

  async function untilHealthy(id: string, expected = 'healthy'): Promise<void> {
    for (let attempt = 0; attempt < 150; attempt++) {
      const { Status: status, Health: health } = stateOf(id)
      if (health?.Status === expected) return
      if (status !== 'running') throw new Error(`the container ended:\n${engine.docker('logs', id)}`)
      await Bun.sleep(200)
    }
    throw new Error(`the container did not become ${expected}:\n${engine.docker('logs', id)}`)
  }

  function stateOf(id: string): { Status: string; ExitCode: number; OOMKilled: boolean; Health?: { Status: string } } {
    return JSON.parse(engine.docker('inspect', '--format={{json .State}}', id))
  }
})

/** Healthy means alive: the embedded database may still be opening. */
async function untilReady(url: string): Promise<void> {
  for (let attempt = 0; attempt < 150; attempt++) {
    const response = await fetch(`${url}/ready`).catch(() => undefined)
    if (response?.ok) return
    await Bun.sleep(200)
  }
  throw new Error('not ready within 30 s')
}
