import { afterEach, describe, expect, test } from 'bun:test'
import { calculateJwkThumbprint, createLocalJWKSet, jwtVerify } from 'jose'
import { algorithms, type PairAlgorithm } from '../../../src/algorithms.ts'
import { publishedKeysMaxAge, rotateKey } from '../../../src/domain/keys/signingKeys.ts'
import { openTestApplication, type TestApplication } from '../../application.ts'
import { headerOf, openReplica } from '../../replica.ts'

const pairAlgorithms = algorithms.filter((algorithm): algorithm is PairAlgorithm => algorithm !== 'HS256')
const privateMembers = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k']

const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})
async function open(options: Parameters<typeof openTestApplication>[1]): Promise<TestApplication> {
  const application = await openTestApplication('PostgreSQL', options)
  closing.push(() => application.close())
  return application
}

describe.each(pairAlgorithms)('published %s keys', (algorithm) => {
  test('verify tokens with jose and have no private members', async () => {
    const application = await open({ algorithm })
    await rotateKey(application.deps, 'test')
    const token = await application.accessToken()
    const response = await application.call('/.well-known/jwks.json')
    expect(response.status).toBe(200)
    expect(response.headers.get('content-type')).toBe('application/json;charset=utf-8')
    expect(response.headers.get('cache-control')).toBe('public, max-age=30')
    const set = (await response.json()) as { keys: Record<string, string>[] }
    expect(set.keys).toHaveLength(2)
    for (const key of set.keys) {
      expect(key).toMatchObject({ use: 'sig', alg: algorithm })
      expect(Object.keys(key).filter((name) => privateMembers.includes(name))).toEqual([])
      expect(key.kid).toBe(await calculateJwkThumbprint(key))
    }
    expect(set.keys[0]?.kid).toBe(headerOf(token).kid as string)
    const { payload } = await jwtVerify(token, createLocalJWKSet(set), {
      algorithms: [algorithm],
      issuer: 'audittrail',
      audience: 'audittrail/password-change',
      typ: 'at+jwt',
    })
    expect(payload.sub).toBe('admin')
    await expectRotation(application, token)
  })
})

test('published keys never include private members, even if the database has them', async () => {
  const application = await open({ algorithm: 'EdDSA' })
  await application.sql(
    `UPDATE audittrail_keys SET public_key = (public_key::jsonb || '{"d": "AAAA", "k": "AAAA"}')::text`,
  )
  const { keys } = await openReplica(application).jwks()
  expect(Object.keys(keys[0] ?? {}).sort()).toEqual(['alg', 'crv', 'kid', 'kty', 'use', 'x'])
})

test('published keys are cached for less than half of the time before a key signs', () => {
  expect(publishedKeysMaxAge).toBeLessThanOrEqual(30)
})

/** After a minute the next key signs, and the published keys still verify older tokens. */
async function expectRotation(application: TestApplication, token: string): Promise<void> {
  application.clock.now += 60_000
  const later = await application.accessToken()
  expect(headerOf(later).kid).not.toBe(headerOf(token).kid)
  expect([(await application.me(token)).status, (await application.me(later)).status]).toEqual([200, 200])
}
