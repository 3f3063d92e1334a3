import { afterEach, describe, expect, test } from 'bun:test'
import { createHmac, randomBytes } from 'node:crypto'
import { listKeys } from '../../../src/domain/keys/keyList.ts'
import { maintainKeys, prepareKeys, resetKeys, rotateKey } from '../../../src/domain/keys/signingKeys.ts'
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

const makeSecretKey = () => randomBytes(32).toString('hex')
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

describe.each(databaseKinds)('keys on %s', (kind) => {
  test('HS256 publishes nothing, and names no key in its tokens', async () => {
    const application = await open(kind)
    expect(headerOf(await application.accessToken())).toEqual({ alg: 'HS256', typ: 'at+jwt' })
    expect(await (await application.call('/.well-known/jwks.json')).json()).toEqual({ keys: [] })
    expect(await states(application)).toEqual(['HS256 signing'])
    expect(await refusal(rotateKey(application.deps, 'test'))).toStartWith(
      'refused: HS256 signs tokens with SECRET_KEY',
    )
  })

  test('the first one signs at once, and rests encrypted', async () => {
    const application = await open(kind, { algorithm: 'EdDSA' })
    expect(headerOf(await application.accessToken()).alg).toBe('EdDSA')
    const [row] = await application.sql('SELECT * FROM audittrail_keys')
    const bytes = Buffer.from(String(row?.private_key), 'base64url')
    // DER of PKCS #8 begins with a sequence, and has the object identifier of Ed25519.
    expect(bytes.includes(Buffer.from('2b6570', 'hex'))).toBe(false)
    expect(Object.keys(JSON.parse(String(row?.public_key))).sort()).toEqual(['alg', 'crv', 'kid', 'kty', 'use', 'x'])
  })

  test('of many replicas that start at once one makes the first key, and all sign with it', async () => {
    const application = await open(kind)
    await application.sql('DELETE FROM audittrail_keys')
    const replicas = Array.from({ length: 6 }, () => openReplica(application, { algorithm: 'ES256' }))
    await Promise.all(replicas.map(({ deps }) => prepareKeys(deps)))
    expect(await application.sql('SELECT generation FROM audittrail_keys')).toHaveLength(1)
    expect(replicas.flatMap(({ lines }) => eventsOf(lines))).toEqual(['key.created'])
    const tokens = await Promise.all(replicas.map((replica) => replica.accessToken()))
    expect(new Set(tokens.map((token) => headerOf(token).kid)).size).toBe(1)
    for (const replica of replicas)
      expect(await Promise.all(tokens.map((token) => replica.me(token)))).toEqual(Array(6).fill(200))
  })

  test.each(['HS256', 'EdDSA'] as const)(
    'a replica that has just begun to listen turns nobody away, however many come at once with %s',
    async (algorithm) => {
      const application = await open(kind, { algorithm })
      const token = await application.accessToken()
      const replica = openReplica(application)
      const statuses = await Promise.all(Array.from({ length: 5 }, () => replica.me(token)))
      expect(statuses).toEqual(Array(5).fill(200))
    },
  )

  test('a rotation publishes the next key, signs with it a minute later, and lets the old one go when its tokens are gone', async () => {
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
    // No replica has read anything since: both go by the time that was written down.
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
    // A minute more for upstreams whose clocks are slow.
    clock.now = signsFrom + 1800_000 + minute - 1
    await maintainKeys(there.deps)
    expect((await here.jwks()).keys).toHaveLength(2)
    clock.now += 1
    expect((await here.jwks()).keys.map(({ kid }) => kid)).toEqual([second] as never)
    await maintainKeys(there.deps)
    expect(await states(application)).toEqual(['EdDSA signing'])
    expect(there.lines.filter(({ event }) => event === 'key.retired')).toMatchObject([{ kid: first }])
  })

  test('of many rotations at once one happens, and no other while it is under way', async () => {
    const application = await open(kind, { algorithm: 'EdDSA' })
    const outcomes = await Promise.all(Array.from({ length: 6 }, () => refusal(rotateKey(application.deps, 'test'))))
    expect(outcomes.filter((outcome) => outcome === undefined)).toHaveLength(1)
    expect(outcomes.filter((outcome) => outcome?.startsWith('conflict: '))).toHaveLength(5)
    expect(await states(application)).toEqual(['EdDSA published', 'EdDSA signing'])
    expect(await refusal(rotateKey(application.deps, 'test'))).toMatch(/already in progress: key \S{43} signs from 20/)
    expect(eventsOf(application.lines)).toEqual(['key.created', 'key.rotated'])
  })

  test('a key is followed by the next one when it has come of age, by one replica of many', async () => {
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

  test('another ALGORITHM is a rotation: nobody is signed out, there and back', async () => {
    const application = await open(kind)
    const { clock } = application
    const before = await application.accessToken()
    const old = openReplica(application)
    let previous = { replica: old, token: before }
    for (const algorithm of ['EdDSA', 'RS256', 'HS256'] as const) {
      const next = openReplica(application, { algorithm })
      await prepareKeys(next.deps)
      await prepareKeys(next.deps)
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

  test('HS256 verifies nothing once its last token has expired', async () => {
    const application = await open(kind)
    const next = openReplica(application, { algorithm: 'EdDSA' })
    await prepareKeys(next.deps)
    application.clock.now += 33 * minute
    await maintainKeys(next.deps)
    const token = await next.accessToken()
    expect(await next.me(token)).toBe(200)
    const head = Buffer.from('{"alg":"HS256","typ":"at+jwt"}').toString('base64url')
    const input = `${head}.${token.split('.')[1]}`
    const minted = `${input}.${createHmac('sha256', application.secretKey).update(input).digest('base64url')}`
    expect(await next.me(minted)).toBe(401)
  })

  test('a database of the time before keys goes on with HS256 until the new algorithm signs', async () => {
    const application = await open(kind)
    const token = await application.accessToken()
    await application.sql('DELETE FROM audittrail_keys')
    await application.sql('UPDATE audittrail_instance SET secret_key_fingerprint = NULL')
    const upgraded = openReplica(application, { algorithm: 'EdDSA' })
    await prepareKeys(upgraded.deps)
    expect(await states(application)).toEqual(['EdDSA published', 'HS256 signing'])
    expect(await upgraded.me(token)).toBe(200)
    application.clock.now += minute
    expect(headerOf(await upgraded.accessToken()).alg).toBe('EdDSA')
    expect(await upgraded.me(token)).toBe(200)
  })

  test('a longer life of tokens, set while a rotation is under way, cuts none of them short', async () => {
    const application = await open(kind, { algorithm: 'EdDSA' })
    await rotateKey(application.deps, 'test')
    const longer = openReplica(application, { accessTokenSeconds: 7200 })
    await prepareKeys(longer.deps)
    const token = await longer.accessToken()
    application.clock.now = claimsOf(token).exp * 1000 - 1
    await maintainKeys(application.deps)
    expect(await longer.me(token)).toBe(200)
    expect(await openReplica(application).me(token)).toBe(200)
  })

  test('a shorter life of tokens, set after a rotation, cuts none short either', async () => {
    const application = await open(kind, { algorithm: 'EdDSA' })
    const token = await application.accessToken()
    await rotateKey(application.deps, 'test')
    const shorter = openReplica(application, { accessTokenSeconds: 60 })
    await prepareKeys(shorter.deps)
    application.clock.now = claimsOf(token).exp * 1000 - 1
    await maintainKeys(shorter.deps)
    expect(await shorter.me(token)).toBe(200)
  })
})

describe('SECRET_KEY', () => {
  test('that is another than before is refused, naming both ways on', async () => {
    const application = await open('PostgreSQL')
    const stranger = openReplica(application, { secretKeys: { current: makeSecretKey(), previous: [makeSecretKey()] } })
    const line = (await refusal(prepareKeys(stranger.deps))) ?? ''
    expect(line).toStartWith('refused: ')
    expect(line).toContain('SECRET_KEY_PREVIOUS')
    expect(line).toContain('audittrail key reset')
    expect(line).not.toContain('\n')
    expect(await stranger.http.keyRing.refresh().catch((error: AppError) => error.code)).toBe('refused' as never)
  })

  test.each(['HS256', 'EdDSA'] as const)(
    'is changed in three steps without a refused token (%s)',
    async (algorithm) => {
      const application = await open('PostgreSQL', { algorithm })
      const [old, next] = [application.secretKey, makeSecretKey()]
      const replicaWith = async (current: string, ...previous: string[]) => {
        const replica = openReplica(application, { algorithm, secretKeys: { current, previous } })
        await prepareKeys(replica.deps)
        return replica
      }
      const agree = async (...replicas: readonly Awaited<ReturnType<typeof replicaWith>>[]) => {
        const tokens = await Promise.all([...replicas.map((replica) => replica.accessToken()), ...kept])
        for (const replica of replicas)
          expect(await Promise.all(tokens.map((token) => replica.me(token)))).toEqual(tokens.map(() => 200))
        kept.push(...tokens.slice(0, replicas.length))
      }
      const kept: string[] = []
      const [a0, b0] = [await replicaWith(old), await replicaWith(old)]
      await agree(a0, b0)
      // First every replica learns the coming key, then it signs, then the former one is taken away.
      const a1 = await replicaWith(old, next)
      await agree(a1, b0)
      const b1 = await replicaWith(old, next)
      await agree(a1, b1)
      const a2 = await replicaWith(next, old)
      await agree(a2, b1)
      // One that is started again with the settings of before changes nothing for the others.
      const b1Again = await replicaWith(old, next)
      await agree(a2, b1, b1Again)
      const b2 = await replicaWith(next, old)
      await agree(a2, b2)
      kept.length = 0
      const fresh = await a2.accessToken()
      const a3 = await replicaWith(next)
      expect(await a3.me(fresh)).toBe(200)
      await agree(a3, b2)
      expect(await refusal(replicaWith(old))).toStartWith('refused: ')
    },
  )

  test('that is new has each private key encrypted under it, by one replica of many', async () => {
    const application = await open('PostgreSQL', { algorithm: 'EdDSA' })
    await rotateKey(application.deps, 'test')
    const secretKeys = { current: makeSecretKey(), previous: [application.secretKey] }
    const replicas = Array.from({ length: 6 }, () => openReplica(application, { secretKeys }))
    await Promise.all(replicas.map(({ deps }) => prepareKeys(deps)))
    const changes = replicas.flatMap(({ lines }) => lines.filter(({ event }) => event === 'secret_key.changed'))
    expect(changes).toMatchObject([{ reencrypted: 2 }])
    const after = openReplica(application, { secretKeys: { current: secretKeys.current, previous: [] } })
    await prepareKeys(after.deps)
    application.clock.now += minute
    expect(await after.me(await after.accessToken())).toBe(200)
    expect(after.lines.filter(({ event }) => event === 'key.unusable')).toEqual([])
  })

  test('that changes while keys rotate leaves no key under the former one', async () => {
    for (let round = 0; round < 5; round++) {
      const application = await open('PostgreSQL', { algorithm: 'EdDSA' })
      const secretKeys = { current: makeSecretKey(), previous: [application.secretKey] }
      const [old, next] = [openReplica(application), openReplica(application, { secretKeys })]
      const outcomes = await Promise.all([refusal(rotateKey(old.deps, 'test')), refusal(prepareKeys(next.deps))])
      expect(outcomes[1]).toBeUndefined()
      const after = openReplica(application, { secretKeys: { current: secretKeys.current, previous: [] } })
      await after.http.keyRing.refresh()
      expect(after.lines.filter(({ event }) => event === 'key.unusable')).toEqual([])
    }
  })

  test('that leaves a running replica behind does not stop it', async () => {
    const application = await open('PostgreSQL', { algorithm: 'EdDSA' })
    const behind = openReplica(application)
    const token = await behind.accessToken()
    const secretKeys = { current: makeSecretKey(), previous: [application.secretKey] }
    const next = openReplica(application, { secretKeys })
    await prepareKeys(next.deps)
    await behind.http.keyRing.refresh()
    expect(await behind.me(token)).toBe(200)
    const later = await behind.accessToken()
    expect([await behind.me(later), await next.me(later), await behind.me(await next.accessToken())]).toEqual([
      200, 200, 200,
    ])
  })

  test.each(['HS256', 'EdDSA'] as const)(
    'that is lost is left behind by a reset, which ends all sessions (%s)',
    async (algorithm) => {
      const application = await open('PostgreSQL', { algorithm })
      const tokens = [await application.accessToken(), await application.accessToken()]
      const secretKeys = { current: makeSecretKey(), previous: [] }
      const after = openReplica(application, { algorithm, secretKeys })
      expect(await resetKeys(after.deps, 'test')).toBe(2)
      await prepareKeys(after.deps)
      expect(await states(after)).toEqual([`${algorithm} signing`])
      for (const token of tokens)
        expect([await after.me(token), (await application.me(token)).status]).toEqual([401, 401])
      expect(await after.me(await after.accessToken())).toBe(200)
      expect(eventsOf(after.lines)).toEqual(['key.reset', 'key.created'])
      expect((await after.jwks()).keys).toHaveLength(algorithm === 'HS256' ? 0 : 1)
    },
  )

  test('a private key that was put in the place of another, or changed, is not used', async () => {
    const application = await open('PostgreSQL', { algorithm: 'EdDSA' })
    await rotateKey(application.deps, 'test')
    await application.sql(`UPDATE audittrail_keys SET private_key =
      (SELECT private_key FROM audittrail_keys other WHERE other.generation = 3 - audittrail_keys.generation)`)
    const replica = openReplica(application)
    expect(await replica.accessToken().catch((error: Error) => error.message)).toBe('login answered 503')
    expect(replica.lines.filter(({ event }) => event === 'key.unusable')).toHaveLength(2)
    const secretKeys = { current: makeSecretKey(), previous: [application.secretKey] }
    expect(await refusal(prepareKeys(openReplica(application, { secretKeys }).deps))).toStartWith(
      'refused: A private key in the database cannot be decrypted',
    )
  })
})

describe('replicas whose clocks differ', () => {
  test('by a few seconds sign and verify across a rotation', async () => {
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
