import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { createAccessTokens } from '../../../src/http/tokens/accessTokens.ts'
import { secretKeyRing } from './fixedKeyRing.ts'
import { claimsAt, forge, goodHeader, newSession, secretKey, user } from './forgedTokens.ts'
import { createLibraryVerifier } from './libraryVerifier.ts'

const time = { now: Date.now() }
const clock = () => time.now
const keyRing = secretKeyRing(secretKey)
const tokens = createAccessTokens({ keyRing, issuer: 'audittrail', audience: 'audittrail' }, clock)
const verifyByLibrary = createLibraryVerifier(keyRing, clock)
const seconds = () => Math.floor(time.now / 1000)
const goodClaims = () => claimsAt(seconds())

describe('access token', () => {
  test('carries the session, the user and the roles', async () => {
    const begun = newSession()
    const token = await tokens.sign(begun)
    const [header = ''] = token.split('.')
    expect(JSON.parse(Buffer.from(header, 'base64url').toString())).toEqual(goodHeader)
    expect(tokens.verify(token)).toMatchObject({
      iss: 'audittrail',
      aud: 'audittrail',
      sub: 'ada',
      uid: user.id,
      sid: begun.id,
      roles: ['admin', 'billing'],
      exp: seconds() + 1800,
    })
  })

  test('is accepted by jose with any username and roles', async () => {
    const text = fc.string({ unit: 'binary' }).filter((value) => value.isWellFormed() && !value.includes('\0'))
    await fc.assert(
      fc.asyncProperty(text, fc.array(text, { maxLength: 4 }), async (username, roles) => {
        const token = await tokens.sign({ ...newSession(), user: { ...user, username, roles } })
        const claims = await verifyByLibrary(token)
        expect(claims).toMatchObject({ sub: username, roles, iat: seconds(), exp: seconds() + 1800 })
        expect(tokens.verify(token)).toEqual(claims as never)
      }),
    )
  })

  test('has a separate audience and no roles for a user who must change the password', async () => {
    const claims = tokens.verify(await tokens.sign({ ...newSession(), user: { ...user, must_change_password: true } }))
    expect(claims).toMatchObject({ aud: 'audittrail/password-change', roles: [] })
    expect(claims && tokens.isForPasswordChange(claims)).toBe(true)
  })

  test('expires to the second', async () => {
    const before = time.now
    const token = await tokens.sign(newSession())
    time.now = (seconds() + 1800) * 1000 - 1
    expect(tokens.verify(token)).toBeDefined()
    time.now += 1
    expect(tokens.verify(token)).toBeUndefined()
    expect(await verifyByLibrary(token)).toBeUndefined()
    time.now = before
  })

  test('stays valid among more tokens than the cache holds', async () => {
    const all = await Promise.all(Array.from({ length: 5000 }, () => tokens.sign(newSession())))
    for (const token of [...all, ...all]) expect(tokens.verify(token)).toBeDefined()
  })

  test('is accepted when forged without a flaw', async () => {
    const token = forge(goodHeader, goodClaims())
    expect(tokens.verify(token)).toBeDefined()
    expect(await verifyByLibrary(token)).toBeDefined()
  })

  const without = (name: string) => Object.fromEntries(Object.entries(goodClaims()).filter(([key]) => key !== name))
  test.each([
    ['alg none', forge({ ...goodHeader, alg: 'none' }, goodClaims())],
    ['alg None', forge({ ...goodHeader, alg: 'None' }, goodClaims())],
    ['no alg', forge({ typ: 'at+jwt' }, goodClaims())],
    ['HS512', forge({ ...goodHeader, alg: 'HS512' }, goodClaims(), 'sha512')],
    ['HS256 in the header, SHA-512 in the signature', forge(goodHeader, goodClaims(), 'sha512')],
    ['another key', forge(goodHeader, goodClaims(), 'sha256', 'another key of thirty-two bytes!')],
    ['an empty key', forge(goodHeader, goodClaims(), 'sha256', '')],
    ['typ JWT', forge({ ...goodHeader, typ: 'JWT' }, goodClaims())],
    ['no typ', forge({ alg: 'HS256' }, goodClaims())],
    ['crit', forge({ ...goodHeader, crit: ['exp'] }, goodClaims())],
    ['b64', forge({ ...goodHeader, b64: false, crit: ['b64'] }, goodClaims())],
    ['an embedded key', forge({ ...goodHeader, jwk: { kty: 'oct', k: 'AAAA' } }, goodClaims())],
    ['a key URL', forge({ ...goodHeader, jku: 'http://127.0.0.1/' }, goodClaims())],
    ['a kid', forge({ ...goodHeader, kid: '../../dev/null' }, goodClaims())],
    ['another issuer', forge(goodHeader, { ...goodClaims(), iss: 'other' })],
    ['another audience', forge(goodHeader, { ...goodClaims(), aud: 'other' })],
    ['a text as exp', forge(goodHeader, { ...goodClaims(), exp: String(seconds() + 60) })],
    ['a fractional exp', forge(goodHeader, { ...goodClaims(), exp: seconds() + 60.5 })],
    ['a negative exp', forge(goodHeader, { ...goodClaims(), exp: -1 })],
    ['an iat an hour ahead', forge(goodHeader, { ...goodClaims(), iat: seconds() + 3600 })],
    ['an nbf an hour ahead', forge(goodHeader, { ...goodClaims(), nbf: seconds() + 3600 })],
    ['a text as nbf', forge(goodHeader, { ...goodClaims(), nbf: 'now' })],
    ['a text as roles', forge(goodHeader, { ...goodClaims(), roles: 'admin' })],
    ['a sid that is not a UUID', forge(goodHeader, { ...goodClaims(), sid: "' OR 1=1" })],
    ...Object.keys(goodClaims()).map((name): [string, string] => [`no ${name}`, forge(goodHeader, without(name))]),
  ])('is rejected by both verifiers with %s', async (_what, token) => {
    expect(tokens.verify(token)).toBeUndefined()
    expect(await verifyByLibrary(token)).toBeUndefined()
  })
})

describe('verifier', () => {
  test('agrees with jose on every one-character change of a valid token', async () => {
    const good = await tokens.sign(newSession())
    await fc.assert(
      fc.asyncProperty(fc.nat(good.length - 1), fc.constantFrom(...'ABab01-_.=+/ {'), async (at, character) => {
        const token = good.slice(0, at) + character + good.slice(at + 1)
        const expected = token === good
        expect(tokens.verify(token) !== undefined).toBe(expected)
        expect((await verifyByLibrary(token)) !== undefined).toBe(expected)
      }),
      { numRuns: 500 },
    )
  })

  test('agrees with jose on signed tokens with any header and any claims', async () => {
    const value = fc.oneof(
      fc.constant(undefined),
      fc.jsonValue(),
      fc.integer({ min: -10, max: 10 }).map((n) => seconds() + n),
    )
    await fc.assert(
      fc.asyncProperty(
        fc.record({ alg: fc.constantFrom('HS256', 'HS384', 'none'), typ: fc.constantFrom('at+jwt', 'JWT', 'AT+JWT') }),
        fc.constantFrom('iss', 'aud', 'sub', 'uid', 'sid', 'jti', 'roles', 'iat', 'exp', 'nbf'),
        value,
        async (header, name, odd) => {
          const token = forge(header, { ...goodClaims(), [name]: odd })
          expect(tokens.verify(token)).toEqual((await verifyByLibrary(token)) as never)
        },
      ),
      { numRuns: 500 },
    )
  })
})
