import { afterEach, describe, expect, test } from 'bun:test'
import { randomBytes } from 'node:crypto'
import { listKeys } from '../../../src/domain/keys/keyList.ts'
import { ensureSigningKey, resetKeys, rotateKey } from '../../../src/domain/keys/signingKeys.ts'
import type { AppError } from '../../../src/error.ts'
import { openTestApplication, type TestApplication } from '../../application.ts'
import { openReplica } from '../../replica.ts'

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

describe('SECRET_KEY', () => {
  test('an unknown key is rejected with both ways to recover', async () => {
    const application = await open('PostgreSQL')
    const stranger = openReplica(application, { secretKeys: { current: makeSecretKey(), previous: [makeSecretKey()] } })
    const line = (await refusal(ensureSigningKey(stranger.deps))) ?? ''
    expect(line).toStartWith('refused: ')
    expect(line).toContain('SECRET_KEY_PREVIOUS')
    expect(line).toContain('audittrail key reset')
    expect(line).not.toContain('\n')
    expect(await stranger.http.keyRing.refresh().catch((error: AppError) => error.code)).toBe('refused' as never)
  })

  test.each(['HS256', 'EdDSA'] as const)('changes in three steps without a rejected token (%s)', async (algorithm) => {
    const application = await open('PostgreSQL', { algorithm })
    const [old, next] = [application.secretKey, makeSecretKey()]
    const replicaWith = async (current: string, ...previous: string[]) => {
      const replica = openReplica(application, { algorithm, secretKeys: { current, previous } })
      await ensureSigningKey(replica.deps)
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
    // First every replica learns the next key, then it signs, then the previous one is removed.
    const a1 = await replicaWith(old, next)
    await agree(a1, b0)
    const b1 = await replicaWith(old, next)
    await agree(a1, b1)
    const a2 = await replicaWith(next, old)
    await agree(a2, b1)
    // A replica restarted with the old settings changes nothing for the others.
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
  })

  test('a new key encrypts each private key again, on one of several replicas', async () => {
    const application = await open('PostgreSQL', { algorithm: 'EdDSA' })
    await rotateKey(application.deps, 'test')
    const secretKeys = { current: makeSecretKey(), previous: [application.secretKey] }
    const replicas = Array.from({ length: 6 }, () => openReplica(application, { secretKeys }))
    await Promise.all(replicas.map(({ deps }) => ensureSigningKey(deps)))
    const changes = replicas.flatMap(({ lines }) => lines.filter(({ event }) => event === 'secret_key.changed'))
    expect(changes).toMatchObject([{ reencrypted: 2 }])
    const after = openReplica(application, { secretKeys: { current: secretKeys.current, previous: [] } })
    await ensureSigningKey(after.deps)
    application.clock.now += minute
    expect(await after.me(await after.accessToken())).toBe(200)
    expect(after.lines.filter(({ event }) => event === 'key.unusable')).toEqual([])
  })

  test('a change during a rotation leaves no private key under the old one', async () => {
    for (let round = 0; round < 5; round++) {
      const application = await open('PostgreSQL', { algorithm: 'EdDSA' })
      const secretKeys = { current: makeSecretKey(), previous: [application.secretKey] }
      const [old, next] = [openReplica(application), openReplica(application, { secretKeys })]
      const outcomes = await Promise.all([refusal(rotateKey(old.deps, 'test')), refusal(ensureSigningKey(next.deps))])
      expect(outcomes[1]).toBeUndefined()
      const after = openReplica(application, { secretKeys: { current: secretKeys.current, previous: [] } })
      await after.http.keyRing.refresh()
      expect(after.lines.filter(({ event }) => event === 'key.unusable')).toEqual([])
    }
  })

  test('a running replica with the old key keeps working', async () => {
    const application = await open('PostgreSQL', { algorithm: 'EdDSA' })
    const behind = openReplica(application)
    const token = await behind.accessToken()
    const secretKeys = { current: makeSecretKey(), previous: [application.secretKey] }
    const next = openReplica(application, { secretKeys })
    await ensureSigningKey(next.deps)
    await behind.http.keyRing.refresh()
    expect(await behind.me(token)).toBe(200)
    const later = await behind.accessToken()
    expect([await behind.me(later), await next.me(later), await behind.me(await next.accessToken())]).toEqual([
      200, 200, 200,
    ])
  })

  test.each(['HS256', 'EdDSA'] as const)(
    'a lost key is replaced by a reset, which ends all sessions (%s)',
    async (algorithm) => {
      const application = await open('PostgreSQL', { algorithm })
      const tokens = [await application.accessToken(), await application.accessToken()]
      const secretKeys = { current: makeSecretKey(), previous: [] }
      const after = openReplica(application, { algorithm, secretKeys })
      expect(await resetKeys(after.deps, 'test')).toBe(2)
      await ensureSigningKey(after.deps)
      expect(await states(after)).toEqual([`${algorithm} signing`])
      for (const token of tokens)
        expect([await after.me(token), (await application.me(token)).status]).toEqual([401, 401])
      expect(await after.me(await after.accessToken())).toBe(200)
      expect(eventsOf(after.lines)).toEqual(['key.reset', 'key.created'])
      expect((await after.jwks()).keys).toHaveLength(algorithm === 'HS256' ? 0 : 1)
    },
  )

  test('a private key that was swapped or changed is not used', async () => {
    const application = await open('PostgreSQL', { algorithm: 'EdDSA' })
    await rotateKey(application.deps, 'test')
    await application.sql(`UPDATE audittrail_keys SET private_key =
      (SELECT private_key FROM audittrail_keys other WHERE other.generation = 3 - audittrail_keys.generation)`)
    const replica = openReplica(application)
    expect(await replica.accessToken().catch((error: Error) => error.message)).toBe('login returned 503')
    expect(replica.lines.filter(({ event }) => event === 'key.unusable')).toHaveLength(2)
    const secretKeys = { current: makeSecretKey(), previous: [application.secretKey] }
    expect(await refusal(ensureSigningKey(openReplica(application, { secretKeys }).deps))).toStartWith(
      'refused: A private key in the database cannot be decrypted',
    )
  })
})
