import { afterEach, describe, expect, test } from 'bun:test'
import { randomBytes, randomUUID } from 'node:crypto'
import { ensureSigningKey } from '../../../src/domain/keys/signingKeys.ts'
import { AppError } from '../../../src/error.ts'
import { openTestApplication, type TestApplication } from '../../application.ts'
import { openReplica } from '../../replica.ts'

const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})
async function open(options: Parameters<typeof openTestApplication>[1]): Promise<TestApplication> {
  const application = await openTestApplication('PostgreSQL', options)
  closing.push(() => application.close())
  return application
}

describe('unknown kid', () => {
  const tokenOf = (kid: string) => {
    const seconds = Math.floor(Date.now() / 1000)
    const [uid, sid, jti] = [randomUUID(), randomUUID(), randomUUID()]
    const claims = { iss: 'audittrail', aud: 'audittrail', sub: 'admin', uid, sid, jti, roles: ['admin'], iat: seconds }
    const parts = [
      { alg: 'EdDSA', kid, typ: 'at+jwt' },
      { ...claims, exp: seconds + 6000 },
    ]
    const [head, payload] = parts.map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    return `${head}.${payload}.${randomBytes(64).toString('base64url')}`
  }

  test('causes one key query in two seconds and no extra log lines, even for 1,000 tokens', async () => {
    const application = await open({ algorithm: 'EdDSA' })
    const replica = openReplica(application)
    const good = await replica.accessToken()
    let reads = 0
    const { signingKeys: keys } = application.deps.database
    const listKeys = keys.listKeys
    Object.assign(keys, { listKeys: () => ++reads && listKeys() })
    const before = replica.lines.length
    const unknown = Array.from({ length: 1000 }, () => tokenOf(randomBytes(32).toString('base64url')))
    const statuses = await Promise.all(unknown.map((token) => replica.me(token)))
    expect(new Set(statuses)).toEqual(new Set([401]))
    expect(reads).toBe(1)
    expect(replica.lines.slice(before).map(({ event }) => event)).toEqual(Array(1000).fill('request'))
    application.clock.now += 2000
    await Promise.all(unknown.map((token) => replica.me(token)))
    expect(reads).toBe(2)
    expect(await replica.me(good)).toBe(200)
  })

  test('causes no key query if it is malformed', async () => {
    const application = await open({ algorithm: 'EdDSA' })
    const replica = openReplica(application)
    await replica.http.keyRing.refresh()
    let reads = 0
    const { signingKeys: keys } = application.deps.database
    const listKeys = keys.listKeys
    Object.assign(keys, { listKeys: () => ++reads && listKeys() })
    for (const kid of ['', '../x', 'A'.repeat(42), 'A'.repeat(44)]) expect(await replica.me(tokenOf(kid))).toBe(401)
    expect(reads).toBe(0)
  })

  test('is accepted at once if another replica already signs with the new key', async () => {
    const application = await open({ algorithm: 'EdDSA' })
    const replica = openReplica(application)
    await replica.http.keyRing.refresh()
    await application.sql('DELETE FROM audittrail_keys')
    const other = openReplica(application)
    await ensureSigningKey(other.deps)
    const token = await other.accessToken()
    expect(await replica.me(token)).toBe(200)
  })
})

describe('key ring without the database', () => {
  const disconnect = ({ deps }: TestApplication) => {
    const { signingKeys: keys } = deps.database
    const listKeys = keys.listKeys
    Object.assign(keys, {
      listKeys: async () => {
        throw new AppError('unavailable', 'disconnected')
      },
    })
    return () => Object.assign(keys, { listKeys })
  }

  test('returns 503 for tokens and published keys until the first load, and 401 for malformed tokens', async () => {
    const application = await open({ algorithm: 'EdDSA' })
    const token = await application.accessToken()
    const reconnect = disconnect(application)
    const replica = openReplica(application)
    expect([await replica.me(token), await replica.me(token), await replica.me('x.y.z')]).toEqual([503, 503, 401])
    const response = await replica.http.handle(new Request('http://localhost/api/.well-known/jwks.json'))
    expect([response.status, response.headers.get('cache-control')]).toEqual([503, 'no-store'])
    reconnect()
    application.clock.now += 2000
    expect(await replica.me(token)).toBe(200)
  })

  test('keeps using the loaded keys and logs the outage once', async () => {
    const application = await open({ algorithm: 'EdDSA' })
    const replica = openReplica(application)
    const token = await replica.accessToken()
    const reconnect = disconnect(application)
    for (let poll = 0; poll < 5; poll++) await replica.http.keyRing.refresh().catch(() => {})
    expect(await replica.me(token)).toBe(200)
    application.clock.now += 60_000
    expect((await replica.jwks()).keys).toHaveLength(1)
    reconnect()
    await replica.http.keyRing.refresh()
    const logged = replica.lines.filter(({ event }) => String(event).startsWith('keys.')).map(({ event }) => event)
    expect(logged).toEqual(['keys.unavailable', 'keys.available'])
  })
})
