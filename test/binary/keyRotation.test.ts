import { describe, expect, test } from 'bun:test'
import { createRemoteJWKSet, jwtVerify } from 'jose'
import postgres from 'postgres'
import { until } from '../condition.ts'
import { headerOf } from '../replica.ts'
import { accessToken, emptyDirectory, login, me, run, serve } from './binary.ts'
import { createInstallation, listKeys, oldKey, publishedKids } from './keys.ts'

describe('two replicas', () => {
  test('rotate under load without a failed request, here or at a service that verifies locally', async () => {
    const installation = await createInstallation('PostgreSQL', {
      SECRET_KEY: oldKey,
      ALGORITHM: 'EdDSA',
      LOG_LEVEL: 'info',
    })
    const servers = [await serve(installation), await serve({ ...installation, directory: emptyDirectory() })] as const
    // The service refetches for unknown keys every 30 s; here, 9 s stand for a minute.
    const upstream = createRemoteJWKSet(new URL(`${servers[1].url}/.well-known/jwks.json`), { cooldownDuration: 4_500 })
    const outcomes = new Map<string, number>()
    const count = (what: string) => outcomes.set(what, (outcomes.get(what) ?? 0) + 1)
    const kids = new Set<string | undefined>()
    const tokens: string[] = [await accessToken(servers[0].url)]
    let isDone = false

    const signIn = async (turn: number) => {
      while (!isDone) {
        const response = await login(servers[turn % 2 === 0 ? 0 : 1].url)
        count(`login ${response.status}`)
        const { access_token: token } = (await response.json()) as { access_token: string }
        kids.add(headerOf(token).kid)
        tokens.push(token)
        await Bun.sleep(20)
      }
    }
    const verify = async (turn: number) => {
      for (let round = 0; !isDone; round++) {
        const token = (round % 3 === 0 ? tokens[0] : tokens.at(-1)) ?? ''
        count(`me ${(await me(servers[(turn + round) % 2 === 0 ? 0 : 1].url, token)).status}`)
        await jwtVerify(token, upstream, { issuer: 'audittrail', typ: 'at+jwt' }).then(
          () => count('upstream accepts it'),
          (error) => count(`upstream: ${error.code}`),
        )
        await Bun.sleep(5)
      }
    }
    const load = Promise.all([signIn(0), signIn(1), verify(0), verify(1), verify(2)])

    const database = postgres(installation.environment.DATABASE_URL ?? '', { max: 1 })
    const rotate = async () => {
      expect((await run(['key', 'rotate'], installation)).code).toBe(0)
      // 9 s stand for a minute, which is longer than a replica needs to learn of the key: 5 s.
      await database`UPDATE audittrail_keys SET signs_from = now() + interval '9 seconds' WHERE signs_from > now()`
      const kid = (await listKeys(installation))[0]?.kid ?? ''
      await until(async () => (await Promise.all(servers.map(publishedKids))).every((kids) => kids.includes(kid)))
      await until(() => kids.has(kid))
      const before = outcomes.get('upstream accepts it') ?? 0
      await until(() => (outcomes.get('upstream accepts it') ?? 0) > before + 50)
      return kid
    }
    const rotated = [await rotate(), await rotate()]
    isDone = true
    await load
    await database.end()
    const lines = await Promise.all(servers.map((server) => server.stop()))
    expect([...outcomes.keys()].sort()).toEqual(['login 200', 'me 200', 'upstream accepts it'])
    expect([...kids].slice(1)).toEqual(rotated)
    expect(kids.size).toBe(3)
    expect(lines.some(({ stdout }) => /"level":"(warn|error)","event":"keys?\./.test(stdout))).toBe(false)
  }, 120_000)

  test("accept each other's tokens while ALGORITHM changes from HS256 to EdDSA", async () => {
    const installation = await createInstallation('PostgreSQL', { SECRET_KEY: oldKey })
    const old = await serve(installation)
    const before = await accessToken(old.url)
    const next = await serve({
      directory: emptyDirectory(),
      environment: { ...installation.environment, ALGORITHM: 'EdDSA' },
    })
    const database = postgres(installation.environment.DATABASE_URL ?? '', { max: 1 })
    await database`UPDATE audittrail_keys SET signs_from = now() + interval '6 seconds' WHERE generation = 2`
    await database.end()
    await until(async () => (await publishedKids(old)).length === 1)
    await until(async () => headerOf(await accessToken(next.url)).alg === 'EdDSA')
    const tokens = [before, await accessToken(old.url), await accessToken(next.url)]
    expect(tokens.map((token) => headerOf(token).alg)).toEqual(['HS256', 'EdDSA', 'EdDSA'])
    for (const { url } of [old, next])
      expect(await Promise.all(tokens.map(async (token) => (await me(url, token)).status))).toEqual([200, 200, 200])
    await Promise.all([old.stop(), next.stop()])
  }, 120_000)
})
