import { afterEach, describe, expect, test } from 'bun:test'
import { createHmac } from 'node:crypto'
import { listKeys } from '../../../src/domain/keys/keyList.ts'
import { ensureSigningKey, maintainKeys, rotateKey } from '../../../src/domain/keys/signingKeys.ts'
import type { AppError } from '../../../src/error.ts'
import { databaseKinds, openTestApplication, type TestApplication } from '../../application.ts'
import { claimsOf, headerOf, openReplica } from '../../replica.ts'

const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})

async function open(...given: Parameters<typeof openTestApplication>): Promise<TestApplication> {
  const application = await openTestApplication(...given)
  closing.push(() => application.close())
  return application
}

const refusal = (work: Promise<unknown>) =>
  work.then(
    () => undefined,
    (error: AppError) => `${error.code}: ${error.message}`,
  )
const states = async ({ deps }: Pick<TestApplication, 'deps'>) =>
  (await listKeys(deps, {})).map(({ algorithm, state }) => `${algorithm} ${state}`)
const eventsOf = (lines: readonly Record<string, unknown>[]) =>
  lines.map(({ event }) => String(event)).filter((event) => event.startsWith('key.') || event.startsWith('secret_key.'))

const minute = 60_000
const day = 86_400_000

describe.each(databaseKinds)('signing keys on %s', (kind) => {
  test('HS256 publishes no key and tokens name none', async () => {
    const application = await open(kind)
    expect(headerOf(await application.accessToken())).toEqual({ alg: 'HS256', typ: 'at+jwt' })
    expect(await (await application.call('/.well-known/jwks.json')).json()).toEqual({ keys: [] })
    expect(await states(application)).toEqual(['HS256 signing'])
    expect(await refusal(rotateKey(application.deps, 'test'))).toStartWith(
      'refused: HS256 signs tokens with SECRET_KEY',
    )
  })

  test('the first key signs at once and is stored encrypted', async () => {
    const application = await open(kind, { algorithm: 'EdDSA' })
    expect(headerOf(await application.accessToken()).alg).toBe('EdDSA')
    const [row] = await application.sql('SELECT * FROM audittrail_keys')
    const bytes = Buffer.from(String(row?.private_key), 'base64url')
    // DER of PKCS #8 starts with a sequence and contains the object identifier of Ed25519.
    expect(bytes.includes(Buffer.from('2b6570', 'hex'))).toBe(false)
    expect(Object.keys(JSON.parse(String(row?.public_key))).sort()).toEqual(['alg', 'crv', 'kid', 'kty', 'use', 'x'])
  })

  test('several replicas that start at once create one key and all sign with it', async () => {
    const application = await open(kind)
    await application.sql('DELETE FROM audittrail_keys')
    const replicas = Array.from({ length: 6 }, () => openReplica(application, { algorithm: 'ES256' }))
    await Promise.all(replicas.map(({ deps }) => ensureSigningKey(deps)))
    expect(await application.sql('SELECT generation FROM audittrail_keys')).toHaveLength(1)
    expect(replicas.flatMap(({ lines }) => eventsOf(lines))).toEqual(['key.created'])
    const tokens = await Promise.all(replicas.map((replica) => replica.accessToken()))
    expect(new Set(tokens.map((token) => headerOf(token).kid)).size).toBe(1)
    for (const replica of replicas)
      expect(await Promise.all(tokens.map((token) => replica.me(token)))).toEqual(Array(6).fill(200))
  })

  test.each(['HS256', 'EdDSA'] as const)(
    'a replica that just started accepts all concurrent requests with %s',
    async (algorithm) => {
      const application = await open(kind, { algorithm })
      const token = await application.accessToken()
      const replica = openReplica(application)
      const statuses = await Promise.all(Array.from({ length: 5 }, () => replica.me(token)))
      expect(statuses).toEqual(Array(5).fill(200))
    },
  )

  test('a rotation publishes the next key, signs with it a minute later, and retires the old one after its last token', async () => {
    const application = await open(kind, { algorithm: 'EdDSA' })
    const { clock } = application
    const [here, there] = [openReplica(application), openReplica(application)]
    const begun = await here.accessToken()
    const { kid: first } = headerOf(begun)
    const { kid: second, signs_from } = await rotateKey(application.deps, 'test')
    const signsFrom = new Date(signs_from).getTime()
    expect(signsFrom).toBe(clock.now + minute)

    for (const replica of [here, there]) {
      await replica.http.keyRing.refresh()
      expect((await replica.jwks()).keys.map(({ kid }) => kid)).toEqual([first, second] as never)
    }
    clock.now = signsFrom - 1
    const last = await here.accessToken()
    expect(headerOf(last).kid).toBe(first)
    clock.now = signsFrom
    // No replica has read the keys since: both rely on the stored time.
    expect(headerOf(await here.accessToken()).kid).toBe(second as string)
    expect(headerOf(await there.accessToken()).kid).toBe(second as string)

    const expiry = claimsOf(last).exp * 1000
    clock.now = expiry - 1
    expect([await here.me(last), await there.me(last)]).toEqual([200, 200])
    expect(await here.me(begun)).toBe(401)
    await maintainKeys(here.deps)
    expect((await there.jwks()).keys).toHaveLength(2)
    clock.now = expiry
    expect([await here.me(last), await there.me(last)]).toEqual([401, 401])
    // One more minute, for upstreams with slow clocks.
    clock.now = signsFrom + 1800_000 + minute - 1
    await maintainKeys(there.deps)
    expect((await here.jwks()).keys).toHaveLength(2)
    clock.now += 1
    expect((await here.jwks()).keys.map(({ kid }) => kid)).toEqual([second] as never)
    await maintainKeys(there.deps)
    expect(await states(application)).toEqual(['EdDSA signing'])
    expect(there.lines.filter(({ event }) => event === 'key.retired')).toMatchObject([{ kid: first }])
  })

  test('of several concurrent rotations one succeeds, and no other starts until it is complete', async () => {
    const application = await open(kind, { algorithm: 'EdDSA' })
    const outcomes = await Promise.all(Array.from({ length: 6 }, () => refusal(rotateKey(application.deps, 'test'))))
    expect(outcomes.filter((outcome) => outcome === undefined)).toHaveLength(1)
    expect(outcomes.filter((outcome) => outcome?.startsWith('conflict: '))).toHaveLength(5)
    expect(await states(application)).toEqual(['EdDSA published', 'EdDSA signing'])
    expect(await refusal(rotateKey(application.deps, 'test'))).toMatch(/already in progress: key \S{43} signs from 20/)
    expect(eventsOf(application.lines)).toEqual(['key.created', 'key.rotated'])
  })

  test('a key is rotated by age, by one of several replicas', async () => {
    const application = await open(kind, { algorithm: 'EdDSA' })
    const { clock } = application
    const replicas = Array.from({ length: 4 }, () => openReplica(application, { rotationDays: 90 }))
    const never = openReplica(application, { rotationDays: 0 })
    clock.now += 90 * day - 1
    await Promise.all(replicas.map(({ deps }) => maintainKeys(deps)))
    expect(await states(application)).toEqual(['EdDSA signing'])
    clock.now += 1
    await maintainKeys(never.deps)
    expect(await states(application)).toEqual(['EdDSA signing'])
    await Promise.all(replicas.map(({ deps }) => maintainKeys(deps)))
    await Promise.all(replicas.map(({ deps }) => maintainKeys(deps)))
    expect(await states(application)).toEqual(['EdDSA published', 'EdDSA signing'])
    expect(replicas.flatMap(({ lines }) => eventsOf(lines))).toEqual(['key.rotated'])
  })

  test('changing ALGORITHM and back rotates keys and signs no one out', async () => {
    const application = await open(kind)
    const { clock } = application
    const before = await application.accessToken()
    const old = openReplica(application)
    let previous = { replica: old, token: before }
    for (const algorithm of ['EdDSA', 'RS256', 'HS256'] as const) {
      const next = openReplica(application, { algorithm })
      await ensureSigningKey(next.deps)
      await ensureSigningKey(next.deps)
      const still = headerOf(await next.accessToken()).alg
      expect(still).toBe(headerOf(previous.token).alg)
      await previous.replica.http.keyRing.refresh()
      clock.now += minute
      const token = await next.accessToken()
      expect(headerOf(token).alg).toBe(algorithm)
      for (const replica of [previous.replica, next])
        expect([await replica.me(previous.token), await replica.me(token)]).toEqual([200, 200])
      previous = { replica: next, token }
    }
    clock.now += 33 * minute
    await maintainKeys(previous.replica.deps)
    expect(await states(application)).toEqual(['HS256 signing'])
  })

  test('HS256 verifies nothing after its last token has expired', async () => {
    const application = await open(kind)
    const next = openReplica(application, { algorithm: 'EdDSA' })
    await ensureSigningKey(next.deps)
    application.clock.now += 33 * minute
    await maintainKeys(next.deps)
    const token = await next.accessToken()
    expect(await next.me(token)).toBe(200)
    const head = Buffer.from('{"alg":"HS256","typ":"at+jwt"}').toString('base64url')
    const input = `${head}.${token.split('.')[1]}`
    const minted = `${input}.${createHmac('sha256', application.secretKey).update(input).digest('base64url')}`
    expect(await next.me(minted)).toBe(401)
  })

  test('a database from before signing keys continues with HS256 until the new algorithm signs', async () => {
    const application = await open(kind)
    const token = await application.accessToken()
    await application.sql('DELETE FROM audittrail_keys')
    await application.sql('UPDATE audittrail_instance SET secret_key_fingerprint = NULL')
    const upgraded = openReplica(application, { algorithm: 'EdDSA' })
    await ensureSigningKey(upgraded.deps)
    expect(await states(application)).toEqual(['EdDSA published', 'HS256 signing'])
    expect(await upgraded.me(token)).toBe(200)
    application.clock.now += minute
    expect(headerOf(await upgraded.accessToken()).alg).toBe('EdDSA')
    expect(await upgraded.me(token)).toBe(200)
  })

  test('a longer token lifetime, set during a rotation, cuts no token short', async () => {
    const application = await open(kind, { algorithm: 'EdDSA' })
    await rotateKey(application.deps, 'test')
    const longer = openReplica(application, { accessTokenSeconds: 7200 })
    await ensureSigningKey(longer.deps)
    const token = await longer.accessToken()
    application.clock.now = claimsOf(token).exp * 1000 - 1
    await maintainKeys(application.deps)
    expect(await longer.me(token)).toBe(200)
    expect(await openReplica(application).me(token)).toBe(200)
  })

  test('a shorter token lifetime, set after a rotation, cuts no token short', async () => {
    const application = await open(kind, { algorithm: 'EdDSA' })
    const token = await application.accessToken()
    await rotateKey(application.deps, 'test')
    const shorter = openReplica(application, { accessTokenSeconds: 60 })
    await ensureSigningKey(shorter.deps)
    application.clock.now = claimsOf(token).exp * 1000 - 1
    await maintainKeys(shorter.deps)
    expect(await shorter.me(token)).toBe(200)
  })
})

describe('replicas with different clocks', () => {
  test('sign and verify across a rotation despite a few seconds of difference', async () => {
    const application = await open('PostgreSQL', { algorithm: 'EdDSA' })
    const { clock } = application
    const behind = openReplica(application, { clock: () => clock.now - 4000 })
    const ahead = openReplica(application, { clock: () => clock.now + 4000 })
    await behind.http.keyRing.refresh()
    expect(headerOf(await behind.accessToken()).alg).toBe('EdDSA')
    const { signs_from } = await rotateKey(application.deps, 'test')
    await Promise.all([behind.http.keyRing.refresh(), ahead.http.keyRing.refresh()])
    for (const offset of [-5000, -3999, 0, 3999, 5000]) {
      clock.now = new Date(signs_from).getTime() + offset
      const tokens = [await behind.accessToken(), await ahead.accessToken()]
      for (const replica of [behind, ahead])
        expect(await Promise.all(tokens.map((token) => replica.me(token)))).toEqual([200, 200])
    }
  })
})
