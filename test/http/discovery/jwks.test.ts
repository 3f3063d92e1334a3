import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test'
import { randomBytes, randomUUID } from 'node:crypto'
import { calculateJwkThumbprint, createLocalJWKSet, jwtVerify } from 'jose'
import { algorithms, type PairAlgorithm } from '../../../src/algorithms.ts'
import { makeKeyPair, thumbprintOf } from '../../../src/domain/keys/keyPair.ts'
import { ensureSigningKey, publishedKeysMaxAge, rotateKey } from '../../../src/domain/keys/signingKeys.ts'
import { AppError } from '../../../src/error.ts'
import { locateMetadata } from '../../../src/http/discovery/metadata.ts'
import { deriveKey, deriveKeys, fingerprintOf, parseSecretKeys } from '../../../src/secretKeys.ts'
import { openTestApplication, type TestApplication } from '../../application.ts'
import { headerOf, openReplica } from '../../replica.ts'

const pairAlgorithms = algorithms.filter((algorithm): algorithm is PairAlgorithm => algorithm !== 'HS256')
const privateMembers = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k']

const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})
async function open(given: Parameters<typeof openTestApplication>[1]): Promise<TestApplication> {
  const application = await openTestApplication('PostgreSQL', given)
  closing.push(() => application.close())
  return application
}

describe.each(pairAlgorithms)('the published keys of %s', (algorithm) => {
  test('verify tokens by jose, and have nothing private', async () => {
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
    await rotatedAway(application, token)
  })
})

test('a private member that got into the database by whatever way does not get out', async () => {
  const application = await open({ algorithm: 'EdDSA' })
  await application.sql(
    `UPDATE audittrail_keys SET public_key = (public_key::jsonb || '{"d": "AAAA", "k": "AAAA"}')::text`,
  )
  const { keys } = await openReplica(application).jwks()
  expect(Object.keys(keys[0] ?? {}).sort()).toEqual(['alg', 'crv', 'kid', 'kty', 'use', 'x'])
})

/** A minute later another key signs, and the published ones still verify what was signed before. */
async function rotatedAway(application: TestApplication, token: string): Promise<void> {
  application.clock.now += 60_000
  const later = await application.accessToken()
  expect(headerOf(later).kid).not.toBe(headerOf(token).kid)
  expect([(await application.me(token)).status, (await application.me(later)).status]).toEqual([200, 200])
}

test('a fetched set of keys may be kept for less than half of the time that a key is published before it signs', () => {
  expect(publishedKeysMaxAge).toBeLessThanOrEqual(30)
})

describe('a key', () => {
  test('is named as RFC 7638 names its example', () => {
    // RFC 7638 §3.1.
    const n =
      '0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw'
    expect(thumbprintOf({ kty: 'RSA', n, e: 'AQAB' })).toBe('NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs')
    // RFC 8037, appendix A.3.
    const x = '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo'
    expect(thumbprintOf({ kty: 'OKP', crv: 'Ed25519', x })).toBe('kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k')
  })

  test('of RSA has 3,072 bits', async () => {
    const { privateKey } = await makeKeyPair('RS256')
    expect(privateKey.asymmetricKeyDetails).toMatchObject({ modulusLength: 3072, publicExponent: 65537n })
  })
})

describe('what is derived from SECRET_KEY', () => {
  const secretKeys = { current: 'c'.repeat(32), previous: ['p'.repeat(32)] }

  test('is HKDF-SHA-256 of RFC 5869', () => {
    // RFC 5869, appendix A.3: no salt, no info; its 42 bytes begin as 32 do.
    expect(deriveKey(Buffer.alloc(22, 0x0b).toString('latin1'), '').toString('hex')).toBe(
      '8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d',
    )
  })

  test('has one key for each secret and each label, the current one first', () => {
    const [current, previous] = deriveKeys(secretKeys, 'audittrail a')
    const [other] = deriveKeys(secretKeys, 'audittrail b')
    expect(new Set([current, previous, other].map((key) => key?.toString('hex'))).size).toBe(3)
    expect(deriveKeys({ ...secretKeys, current: 'p'.repeat(32) }, 'audittrail a')[0]).toEqual(previous as Buffer)
  })

  test('the fingerprint is 64 hex digits that depend on the whole key', () => {
    expect(fingerprintOf('c'.repeat(32))).toMatch(/^[0-9a-f]{64}$/)
    expect(fingerprintOf('c'.repeat(32))).not.toBe(fingerprintOf(`${'c'.repeat(31)}d`))
  })

  test('SECRET_KEY_PREVIOUS takes commas and line breaks, and no short keys', () => {
    const [a, b] = ['a'.repeat(32), 'b'.repeat(40)]
    expect(parseSecretKeys(`${a},${b}`)).toEqual([a, b])
    expect(parseSecretKeys(`${a}\r\n\n ${b} ,`)).toEqual([a, b])
    expect(() => parseSecretKeys(`${a},short`)).toThrow('at least 32 bytes')
    expect(() => parseSecretKeys(Array(9).fill(a).join())).toThrow('up to 8 keys')
  })
})

describe('a kid that nobody knows', () => {
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

  test('is asked for once in two seconds, were there a thousand, and leaves no line but the one of its request', async () => {
    const application = await open({ algorithm: 'EdDSA' })
    const replica = openReplica(application)
    const good = await replica.accessToken()
    let reads = 0
    const { signingKeys: keys } = application.deps.database
    const listKeys = keys.listKeys
    Object.assign(keys, { listKeys: () => ++reads && listKeys() })
    const before = replica.lines.length
    const strangers = Array.from({ length: 1000 }, () => tokenOf(randomBytes(32).toString('base64url')))
    const statuses = await Promise.all(strangers.map((token) => replica.me(token)))
    expect(new Set(statuses)).toEqual(new Set([401]))
    expect(reads).toBe(1)
    expect(replica.lines.slice(before).map(({ event }) => event)).toEqual(Array(1000).fill('request'))
    application.clock.now += 2000
    await Promise.all(strangers.map((token) => replica.me(token)))
    expect(reads).toBe(2)
    expect(await replica.me(good)).toBe(200)
  })

  test('is not asked for when the rest of the token is not ours', async () => {
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

  test('is known at once when another replica has made a key that signs already', async () => {
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

describe('while the database cannot be asked', () => {
  const cut = ({ deps }: TestApplication) => {
    const { signingKeys: keys } = deps.database
    const listKeys = keys.listKeys
    Object.assign(keys, {
      listKeys: async () => {
        throw new AppError('unavailable', 'cut')
      },
    })
    return () => Object.assign(keys, { listKeys })
  }

  test('a process that has never read the keys says 503, to tokens and for keys, and 401 to what is no token of ours', async () => {
    const application = await open({ algorithm: 'EdDSA' })
    const token = await application.accessToken()
    const mend = cut(application)
    const replica = openReplica(application)
    expect([await replica.me(token), await replica.me(token), await replica.me('x.y.z')]).toEqual([503, 503, 401])
    const response = await replica.http.handle(new Request('http://localhost/api/.well-known/jwks.json'))
    expect([response.status, response.headers.get('cache-control')]).toEqual([503, 'no-store'])
    mend()
    application.clock.now += 2000
    expect(await replica.me(token)).toBe(200)
  })

  test('one that has read them goes on with these, and says so once', async () => {
    const application = await open({ algorithm: 'EdDSA' })
    const replica = openReplica(application)
    const token = await replica.accessToken()
    const mend = cut(application)
    for (let poll = 0; poll < 5; poll++) await replica.http.keyRing.refresh().catch(() => {})
    expect(await replica.me(token)).toBe(200)
    application.clock.now += 60_000
    expect((await replica.jwks()).keys).toHaveLength(1)
    mend()
    await replica.http.keyRing.refresh()
    const told = replica.lines.filter(({ event }) => String(event).startsWith('keys.')).map(({ event }) => event)
    expect(told).toEqual(['keys.unavailable', 'keys.available'])
  })
})

describe('metadata (RFC 8414)', () => {
  let application: TestApplication
  beforeAll(async () => {
    application = await openTestApplication('PostgreSQL', { issuer: 'https://auth.example.com', algorithm: 'EdDSA' })
  })
  afterAll(() => application.close())

  const read = async ({ http }: Pick<TestApplication, 'http'>, path: string) => {
    const response = await http.handle(new Request(`http://localhost${path}`))
    return response.status === 200 ? await response.json() : response.status
  }

  test('says what works, and nothing else', async () => {
    expect(await (await application.call('/.well-known/oauth-authorization-server')).json()).toEqual({
      issuer: 'https://auth.example.com',
      token_endpoint: 'https://auth.example.com/api/auth/login',
      revocation_endpoint: 'https://auth.example.com/api/auth/revoke',
      introspection_endpoint: 'https://auth.example.com/api/auth/introspect',
      jwks_uri: 'https://auth.example.com/api/.well-known/jwks.json',
      grant_types_supported: ['password', 'refresh_token'],
      response_types_supported: [],
      scopes_supported: ['offline_access'],
      token_endpoint_auth_methods_supported: ['none'],
      revocation_endpoint_auth_methods_supported: ['none'],
      introspection_endpoint_auth_methods_supported: ['client_secret_basic', 'Bearer'],
    })
  })

  test('is at the root too, where clients look', async () => {
    const here = await read(application, '/api/.well-known/oauth-authorization-server')
    for (const path of ['', '/api', '?x=y'])
      expect(await read(application, `/.well-known/oauth-authorization-server${path}`)).toEqual(here)
    for (const path of ['/x', '/api/x', '/api/auth/me', '/../api/auth/me'])
      expect(await read(application, `/.well-known/oauth-authorization-server${path}`)).toBe(404)
  })

  test('has no keys to name with HS256', async () => {
    const plain = await open({ issuer: 'http://localhost:8000/api' })
    expect(await read(plain, '/.well-known/oauth-authorization-server/api')).not.toHaveProperty('jwks_uri')
  })

  test('is absent where ISSUER is no URL', async () => {
    const plain = await open({})
    for (const path of ['/api/.well-known/oauth-authorization-server', '/.well-known/oauth-authorization-server/api'])
      expect(await read(plain, path)).toBe(404)
  })

  test.each([
    ['https://a.example', '/api', 'https://a.example/api'],
    ['https://a.example/', '/api', 'https://a.example/api'],
    ['https://a.example/api', '/api', 'https://a.example/api'],
    ['https://a.example:8443/login', '/api', 'https://a.example:8443/api'],
    ['https://a.example/api', '', 'https://a.example/api'],
    ['https://a.example', '', 'https://a.example'],
    ['http://127.0.0.1:8000', '/api', 'http://127.0.0.1:8000/api'],
    ['http://[::1]:8000', '/api', 'http://[::1]:8000/api'],
  ])('of ISSUER %s at BASE_PATH %p has its endpoints under %s', (issuer, basePath, prefix) => {
    expect(locateMetadata({ issuer, basePath })).toMatchObject({ issuer, prefix })
  })

  test.each([
    'audittrail',
    'http://a.example',
    'https://a.example?x=y',
    'https://a.example/#x',
    'https://a.example?',
    'https://u:p@a.example',
    'urn:a:b',
    'ftp://localhost',
  ])('is not there for ISSUER %s', (issuer) => {
    expect(locateMetadata({ issuer, basePath: '/api' })).toBeUndefined()
  })
})
