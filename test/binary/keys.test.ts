import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { createRemoteJWKSet, jwtVerify } from 'jose'
import postgres from 'postgres'
import { createDatabase } from '../postgresql.ts'
import { headerOf } from '../replica.ts'
import { accessToken, emptyDirectory, login, me, run, type Server, serve } from './binary.ts'

const cheap = { PASSWORD_MEMORY_KIB: '8192', PASSWORD_TIME_COST: '1' }
const [oldKey, newKey] = ['o'.repeat(32), 'n'.repeat(32)]
const databases = ['PostgreSQL', 'the embedded database'] as const

interface Place {
  readonly directory: string
  readonly environment: Record<string, string>
}

async function makePlace(kind: (typeof databases)[number], settings: Record<string, string>): Promise<Place> {
  const database: Record<string, string> = kind === 'PostgreSQL' ? { DATABASE_URL: await createDatabase() } : {}
  return { directory: emptyDirectory(), environment: { ...database, ...cheap, ...settings } }
}

interface ListedKey {
  readonly kid: string | null
  readonly state: string
}

async function listed(place: Place): Promise<ListedKey[]> {
  const { code, stdout, stderr } = await run(['key', 'list', '--json'], place)
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  return JSON.parse(stdout)
}

async function publishedKids({ url }: Server): Promise<(string | undefined)[]> {
  const response = await fetch(`${url}/.well-known/jwks.json`)
  return ((await response.json()) as { keys: { kid: string }[] }).keys.map(({ kid }) => kid)
}

/** Waits for something that comes within seconds; throws when it does not. */
async function within(seconds: number, isSo: () => Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + seconds * 1000; Date.now() < deadline; await Bun.sleep(100))
    if (await isSo()) return
  throw new Error(`not within ${seconds} seconds`)
}

describe.each(databases)('key commands on %s', (kind) => {
  describe.each(['with the server down', 'with the server up'] as const)('%s', (state) => {
    let place: Place
    let server: Server | undefined
    beforeAll(async () => {
      place = await makePlace(kind, { SECRET_KEY: oldKey, ALGORITHM: 'EdDSA' })
      server = await serve(place)
      if (state === 'with the server down') {
        await server.stop()
        server = undefined
      }
    })
    afterAll(() => server?.stop())

    test('list, rotate and reset do their part', async () => {
      const [first, ...none] = await listed(place)
      expect({ first, none }).toMatchObject({ first: { state: 'signing', algorithm: 'EdDSA' }, none: [] })
      const rotated = await run(['key', 'rotate'], place)
      expect(rotated.stdout).toMatch(/^Key \S{43} \(EdDSA\) is published and signs from 20\S+Z\.\n$/)
      const again = await run(['key', 'rotate'], place)
      expect({ code: again.code, stdout: again.stdout }).toEqual({ code: 1, stdout: '' })
      expect(again.stderr).toMatch(/^audittrail: A rotation is already in progress: .*\n$/)
      expect((await listed(place)).map(({ state }) => state)).toEqual(['published', 'signing'])
      expect((await run(['key', 'list'], place)).stdout).toMatch(
        /^KEY +ALGORITHM +STATE +CREATED +SIGNS FROM +VERIFIES UNTIL\n/,
      )

      const asked = server ?? (await serve(place))
      if (server) await within(6, async () => (await publishedKids(asked)).length === 2)
      const token = await accessToken(asked.url)
      expect(headerOf(token).kid).toBe(first?.kid as string)
      if (!server) await asked.stop()

      const reset = await run(['key', 'reset'], place)
      expect({ ...reset, stdout: '' }).toMatchObject({ code: 0, stderr: '', stdout: '' })
      expect(reset.stdout).toBe('All keys replaced. Sessions ended: 1.\n')
      expect((await listed(place)).map(({ state }) => state)).toEqual(['signing'])
      const after = server ?? (await serve(place))
      expect((await me(after.url, token)).status).toBe(401)
      await within(6, async () => (await me(after.url, await accessToken(after.url))).status === 200)
      if (!server) await after.stop()
    })
  })

  test('with HS256 say how SECRET_KEY is changed', async () => {
    const place = await makePlace(kind, { SECRET_KEY: oldKey })
    await (await serve(place)).stop()
    expect((await run(['key', 'list'], place)).stdout).toMatch(/\nSECRET_KEY [0-9a-f]{12} +HS256 +signing /)
    const { code, stderr } = await run(['key', 'rotate'], place)
    expect(code).toBe(1)
    expect(stderr).toContain('SECRET_KEY_PREVIOUS')
  })

  test('another SECRET_KEY is one line, exit 1; the former one beside it, or a reset, leads on', async () => {
    const place = await makePlace(kind, { SECRET_KEY: oldKey, ALGORITHM: 'ES256' })
    const first = await serve(place)
    const token = await accessToken(first.url)
    const body = new URLSearchParams({ username: 'admin', password: 'changeme' })
    await fetch(`${first.url}/auth/login`, { method: 'POST', body })
    await first.stop()

    const strange = {
      ...place,
      environment: { ...place.environment, SECRET_KEY: newKey, HOST: '127.0.0.1', PORT: '0' },
    }
    const refused = await run([], strange)
    expect(refused.code).toBe(1)
    expect(refused.stderr).toMatch(/^audittrail: [^\n]*SECRET_KEY_PREVIOUS[^\n]*audittrail key reset[^\n]*\n$/)
    expect((await run(['key', 'rotate'], strange)).stderr).toContain('SECRET_KEY_PREVIOUS')
    expect((await run(['user', 'list'], strange)).code).toBe(0)

    const changed = {
      ...strange,
      environment: { ...strange.environment, SECRET_KEY_PREVIOUS: `${'x'.repeat(32)},${oldKey}` },
    }
    const second = await serve(changed)
    expect((await me(second.url, token)).status).toBe(200)
    expect((await second.stop()).stdout).toContain('"event":"secret_key.changed","reencrypted":1')
    const third = await serve(strange)
    expect((await me(third.url, token)).status).toBe(200)
    await third.stop()

    expect((await run(['key', 'reset'], place)).stdout).toMatch(/^All keys replaced\. Sessions ended: [12]\.\n$/)
    const last = await serve(place)
    expect((await me(last.url, token)).status).toBe(401)
    expect((await me(last.url, await accessToken(last.url))).status).toBe(200)
    await last.stop()
  })
})

describe('a secret key of DATA_DIR', () => {
  test('that is lost is refused, and made anew by a reset', async () => {
    const place = await makePlace('the embedded database', {})
    await (await serve(place)).stop()
    const file = join(place.directory, 'data/secret.key')
    const before = readFileSync(file, 'utf8')
    rmSync(file)
    const refused = await run([], { ...place, environment: { ...place.environment, HOST: '127.0.0.1', PORT: '0' } })
    expect({ code: refused.code, line: refused.stderr.includes('audittrail key reset') }).toEqual({
      code: 1,
      line: true,
    })
    expect((await run(['key', 'reset'], place)).code).toBe(0)
    expect(readFileSync(file, 'utf8')).not.toBe(before)
    const server = await serve(place)
    expect((await me(server.url, await accessToken(server.url))).status).toBe(200)
    await server.stop()
  })

  test('is not made by a command for a database elsewhere', async () => {
    const place = await makePlace('PostgreSQL', { SECRET_KEY: oldKey, ALGORITHM: 'EdDSA' })
    await (await serve(place)).stop()
    const { SECRET_KEY: _, ...environment } = place.environment
    for (const command of ['rotate', 'reset']) {
      const { code, stderr } = await run(['key', command], { ...place, environment })
      expect({ code, stderr }).toEqual({
        code: 1,
        stderr: 'audittrail: SECRET_KEY is not set. This command needs the SECRET_KEY of the server.\n',
      })
    }
  })
})

describe('two replicas', () => {
  test('rotate under load, and no request fails, here or at a service that verifies by itself', async () => {
    const place = await makePlace('PostgreSQL', { SECRET_KEY: oldKey, ALGORITHM: 'EdDSA', LOG_LEVEL: 'info' })
    const servers = [await serve(place), await serve({ ...place, directory: emptyDirectory() })] as const
    // It looks for an unknown key once in half a minute; a minute is seven seconds here.
    const upstream = createRemoteJWKSet(new URL(`${servers[1].url}/.well-known/jwks.json`), { cooldownDuration: 3_500 })
    const outcomes = new Map<string, number>()
    const count = (what: string) => outcomes.set(what, (outcomes.get(what) ?? 0) + 1)
    const kids = new Set<string | undefined>()
    const tokens: string[] = [await accessToken(servers[0].url)]
    let isOver = false

    const signIn = async (turn: number) => {
      while (!isOver) {
        const response = await login(servers[turn % 2 === 0 ? 0 : 1].url)
        count(`login ${response.status}`)
        const { access_token: token } = (await response.json()) as { access_token: string }
        kids.add(headerOf(token).kid)
        tokens.push(token)
        await Bun.sleep(20)
      }
    }
    const ask = async (turn: number) => {
      for (let round = 0; !isOver; round++) {
        const token = (round % 3 === 0 ? tokens[0] : tokens.at(-1)) ?? ''
        count(`me ${(await me(servers[(turn + round) % 2 === 0 ? 0 : 1].url, token)).status}`)
        await jwtVerify(token, upstream, { issuer: 'audittrail', typ: 'at+jwt' }).then(
          () => count('upstream takes it'),
          (error) => count(`upstream: ${error.code}`),
        )
        await Bun.sleep(5)
      }
    }
    const load = Promise.all([signIn(0), signIn(1), ask(0), ask(1), ask(2)])

    const database = postgres(place.environment.DATABASE_URL ?? '', { max: 1 })
    const rotate = async () => {
      expect((await run(['key', 'rotate'], place)).code).toBe(0)
      // As if a minute were seven seconds: longer than a replica takes to learn.
      await database`UPDATE audittrail_keys SET signs_from = now() + interval '7 seconds' WHERE signs_from > now()`
      const started = Date.now()
      await within(
        6,
        async () => new Set(await publishedKids(servers[0])).size === (await publishedKids(servers[1])).length,
      )
      const [newest] = await listed(place)
      await within(6, async () =>
        (await Promise.all(servers.map(publishedKids))).every((kids) => kids.includes(newest?.kid ?? '')),
      )
      await Bun.sleep(Math.max(0, started + 8_500 - Date.now()))
      return newest?.kid ?? ''
    }
    const made = [await rotate(), await rotate()]
    isOver = true
    await load
    await database.end()
    const lines = await Promise.all(servers.map((server) => server.stop()))
    expect([...outcomes.keys()].sort()).toEqual(['login 200', 'me 200', 'upstream takes it'])
    expect([...kids].slice(1)).toEqual(made)
    expect(kids.size).toBe(3)
    expect(lines.some(({ stdout }) => /"level":"(warn|error)","event":"keys?\./.test(stdout))).toBe(false)
  }, 60_000)

  test("one with HS256 and one with EdDSA take one another's tokens while ALGORITHM is being changed", async () => {
    const place = await makePlace('PostgreSQL', { SECRET_KEY: oldKey })
    const old = await serve(place)
    const before = await accessToken(old.url)
    const next = await serve({ directory: emptyDirectory(), environment: { ...place.environment, ALGORITHM: 'EdDSA' } })
    const database = postgres(place.environment.DATABASE_URL ?? '', { max: 1 })
    await database`UPDATE audittrail_keys SET signs_from = now() + interval '6 seconds' WHERE generation = 2`
    await database.end()
    await within(6, async () => (await publishedKids(old)).length === 1)
    await within(8, async () => headerOf(await accessToken(next.url)).alg === 'EdDSA')
    const tokens = [before, await accessToken(old.url), await accessToken(next.url)]
    expect(tokens.map((token) => headerOf(token).alg)).toEqual(['HS256', 'EdDSA', 'EdDSA'])
    for (const { url } of [old, next])
      expect(await Promise.all(tokens.map(async (token) => (await me(url, token)).status))).toEqual([200, 200, 200])
    await Promise.all([old.stop(), next.stop()])
  }, 60_000)
})
