import { describe, expect, test } from 'bun:test'
import { createHmac, randomUUID } from 'node:crypto'
import fc from 'fast-check'
import { createAccessTokens } from '../../../src/http/tokens/accessTokens.ts'
import { secretKeyRing } from './fixedKeyRing.ts'

const secretKey = '0123456789abcdef0123456789abcdef'
const time = { now: Date.now() }
const tokens = createAccessTokens(
  { keyRing: secretKeyRing(secretKey), issuer: 'audittrail', audience: 'audittrail' },
  () => time.now,
)
const seconds = () => Math.floor(time.now / 1000)

const user = {
  id: randomUUID(),
  username: 'ada',
  full_name: 'Ada Lovelace',
  is_active: true,
  roles: ['admin', 'billing'],
  must_change_password: false,
}
const session = () => ({ id: randomUUID(), user, expiresAt: seconds() + 1800, refreshGeneration: null })

const goodHeader = { alg: 'HS256', typ: 'at+jwt' }
const goodClaims = () => ({
  iss: 'audittrail',
  aud: 'audittrail',
  sub: 'ada',
  uid: user.id,
  sid: randomUUID(),
  jti: randomUUID(),
  roles: [],
  iat: seconds(),
  exp: seconds() + 60,
})

/** A token with a right signature over whatever it is given. */
function forge(header: object, claims: object, hash = 'sha256', key: string | Buffer = secretKey): string {
  return forgeText(JSON.stringify(header), JSON.stringify(claims), hash, key)
}

/** The same over texts or bytes as they stand. */
function forgeText(
  header: string | Uint8Array,
  claims: string | Uint8Array,
  hash = 'sha256',
  key: string | Buffer = secretKey,
): string {
  const encode = (value: string | Uint8Array) => Buffer.from(value as string).toString('base64url')
  const input = `${encode(header)}.${encode(claims)}`
  return `${input}.${createHmac(hash, key).update(input).digest('base64url')}`
}

describe('an access token', () => {
  test('carries session, user and roles, and says that it is an access token', async () => {
    const begun = session()
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
      exp: begun.expiresAt,
    })
  })

  test('of a user who must change the password has another audience and no roles', async () => {
    const claims = tokens.verify(await tokens.sign({ ...session(), user: { ...user, must_change_password: true } }))
    expect(claims).toMatchObject({ aud: 'audittrail/password-change', roles: [] })
    expect(claims && tokens.isForPasswordChange(claims)).toBe(true)
  })

  test('expires to the second', async () => {
    const before = time.now
    const token = await tokens.sign(session())
    time.now = (seconds() + 1800) * 1000 - 1
    expect(tokens.verify(token)).toBeDefined()
    time.now += 1
    expect(tokens.verify(token)).toBeUndefined()
    expect(await tokens.verifyByLibrary(token)).toBeUndefined()
    time.now = before
  })

  test('is good as long as it should be among many others', async () => {
    const all = await Promise.all(Array.from({ length: 5000 }, () => tokens.sign(session())))
    for (const token of [...all, ...all]) expect(tokens.verify(token)).toBeDefined()
  })

  test('forged for these tests is accepted when nothing is wrong with it', async () => {
    const token = forge(goodHeader, goodClaims())
    expect(tokens.verify(token)).toBeDefined()
    expect(await tokens.verifyByLibrary(token)).toBeDefined()
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
    ['the address of a key', forge({ ...goodHeader, jku: 'http://127.0.0.1/' }, goodClaims())],
    ['a kid', forge({ ...goodHeader, kid: '../../dev/null' }, goodClaims())],
    ['another issuer', forge(goodHeader, { ...goodClaims(), iss: 'somebody' })],
    ['another audience', forge(goodHeader, { ...goodClaims(), aud: 'somebody' })],
    ['an exp of text', forge(goodHeader, { ...goodClaims(), exp: String(seconds() + 60) })],
    ['a fractional exp', forge(goodHeader, { ...goodClaims(), exp: seconds() + 60.5 })],
    ['an exp in milliseconds that is past', forge(goodHeader, { ...goodClaims(), exp: -1 })],
    ['an iat an hour ahead', forge(goodHeader, { ...goodClaims(), iat: seconds() + 3600 })],
    ['an nbf an hour ahead', forge(goodHeader, { ...goodClaims(), nbf: seconds() + 3600 })],
    ['an nbf of text', forge(goodHeader, { ...goodClaims(), nbf: 'now' })],
    ['roles of text', forge(goodHeader, { ...goodClaims(), roles: 'admin' })],
    ['a sid that is no UUID', forge(goodHeader, { ...goodClaims(), sid: "' OR 1=1" })],
    ...Object.keys(goodClaims()).map((name): [string, string] => [`no ${name}`, forge(goodHeader, without(name))]),
  ])('with %s is refused by both verifiers', async (_what, token) => {
    expect(tokens.verify(token)).toBeUndefined()
    expect(await tokens.verifyByLibrary(token)).toBeUndefined()
  })
})

describe('our verifier and the library', () => {
  test('agree on every token that differs from a good one by a byte', async () => {
    const good = await tokens.sign(session())
    await fc.assert(
      fc.asyncProperty(fc.nat(good.length - 1), fc.constantFrom(...'ABab01-_.=+/ {'), async (at, character) => {
        const token = good.slice(0, at) + character + good.slice(at + 1)
        const expected = token === good
        expect(tokens.verify(token) !== undefined).toBe(expected)
        expect((await tokens.verifyByLibrary(token)) !== undefined).toBe(expected)
      }),
      { numRuns: 500 },
    )
  })

  test('agree on rightly signed tokens of any header and any claims', async () => {
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
          expect(tokens.verify(token)).toEqual((await tokens.verifyByLibrary(token)) as never)
        },
      ),
      { numRuns: 500 },
    )
  })
})

/** What a token has to be, written once more and from the documents alone (RFC 7519, RFC 9068, docs/decisions/0004). */
function isAcceptable(claims: Record<string, unknown>, now: number): boolean {
  const text = (name: string, pattern: RegExp) => typeof claims[name] === 'string' && pattern.test(claims[name])
  const id = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/
  const whole = (name: string, from: number, to: number) => {
    const value = claims[name]
    return typeof value === 'number' && Math.floor(value) === value && value >= from && value <= to
  }
  const far = 9007199254740991
  return (
    text('iss', /^audittrail$/) &&
    text('aud', /^audittrail(\/password-change)?$/) &&
    text('sub', /^[^\0\p{Surrogate}]*$/u) &&
    text('uid', id) &&
    text('sid', id) &&
    text('jti', id) &&
    Array.isArray(claims.roles) &&
    !claims.roles.some((role) => typeof role !== 'string') &&
    whole('iat', 0, now + 5) &&
    whole('exp', now + 1, far) &&
    (!('nbf' in claims) || whole('nbf', 0, now))
  )
}

function isCanonical(text: string): boolean {
  try {
    return JSON.stringify(JSON.parse(text)) === text
  } catch {
    return false
  }
}

describe('rightly signed claims', () => {
  const nearby = fc.integer({ min: -8, max: 8 }).map((n) => seconds() + n)
  const odd = fc.oneof(
    fc.jsonValue(),
    nearby,
    fc.double(),
    fc.constantFrom<unknown>(
      undefined,
      2 ** 53,
      -0,
      '',
      '\0',
      'a\0b',
      '\ud800',
      [],
      ['audittrail'],
      'audittrail',
      user.id,
    ),
    fc.constantFrom('audittrail/password-change', user.id.toUpperCase(), `${user.id}\n`),
    fc.string({ unit: 'binary' }),
  )
  /** Mostly what it should be, so that often all are good but one. */
  const mostly = (good: unknown) =>
    fc.oneof({ weight: 12, arbitrary: fc.constant(good) }, { weight: 1, arbitrary: odd })
  const anyClaims = fc.record({
    iss: mostly('audittrail'),
    aud: fc.oneof(mostly('audittrail'), mostly('audittrail/password-change')),
    sub: fc.oneof(mostly('ada'), fc.string({ unit: 'binary' })),
    uid: mostly(user.id),
    sid: mostly(user.id),
    jti: mostly(user.id),
    roles: fc.oneof(mostly([]), mostly(['admin']), fc.array(fc.oneof(fc.string(), fc.string(), odd))),
    iat: fc.oneof(mostly(0), nearby),
    exp: fc.oneof(mostly(Number.MAX_SAFE_INTEGER), nearby),
    nbf: fc.oneof(mostly(undefined), nearby),
    extra: mostly(undefined),
  })

  test('are accepted when an independent reading of the rules accepts them, and never otherwise', () => {
    const seen = { accepted: 0, refused: 0 }
    fc.assert(
      fc.property(anyClaims, (claims) => {
        const text = JSON.stringify(claims)
        const expected = isAcceptable(JSON.parse(text), seconds())
        seen[expected ? 'accepted' : 'refused']++
        const token = forgeText(JSON.stringify(goodHeader), text)
        expect(tokens.verify(token) !== undefined).toBe(expected)
        // Once more, as it may be remembered.
        expect(tokens.verify(token) !== undefined).toBe(expected)
      }),
      { numRuns: 3000 },
    )
    expect(Math.min(seen.accepted, seen.refused)).toBeGreaterThan(300)
  })

  test('are refused in every other spelling', () => {
    const spellings = [
      (text: string, at: number) => `${text.slice(0, at)} ${text.slice(at)}`,
      (text: string, at: number) => `${text.slice(0, at)}\n${text.slice(at)}`,
      (text: string, at: number) => `${text.slice(0, at)}\\u00${text.charCodeAt(at).toString(16)}${text.slice(at + 1)}`,
      (text: string) => text.replace('{', '{"exp":1,'),
      (text: string) => text.replace(/}$/, `,"sub":"ada"}`),
      (text: string) => text.replace(/"exp":\d+/, '$&.0'),
      (text: string) => text.replace(/"exp":\d+/, '$&e0'),
      (text: string) => text.replace(/"iat":/, '$&-'),
      (text: string) => `\ufeff${text}`,
    ]
    fc.assert(
      fc.property(fc.constantFrom(...spellings), fc.nat(), fc.boolean(), (respell, n, inHeader) => {
        const [header, claims] = [JSON.stringify(goodHeader), JSON.stringify(goodClaims())]
        const [before, after] = inHeader
          ? [header, respell(header, n % header.length)]
          : [claims, respell(claims, n % claims.length)]
        // A space in a name makes another name, and no other spelling.
        fc.pre(after !== before && !isCanonical(after))
        expect(tokens.verify(inHeader ? forgeText(after, claims) : forgeText(header, after))).toBeUndefined()
      }),
      { numRuns: 1000 },
    )
  })

  test('of any bytes are read without an error', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.uint8Array({ maxLength: 200 }), (header, claims) => {
        expect(tokens.verify(forgeText(header, claims))).toBeUndefined()
        expect(tokens.verify(forgeText(JSON.stringify(goodHeader), claims))).toBeUndefined()
      }),
    )
  })

  test('that were accepted once are refused from the second in which they expire', () => {
    const before = time.now
    const token = forge(goodHeader, { ...goodClaims(), exp: seconds() + 1 })
    expect(tokens.verify(token)).toBeDefined()
    time.now = (seconds() + 1) * 1000
    expect(tokens.verify(token)).toBeUndefined()
    time.now = before
  })
})
