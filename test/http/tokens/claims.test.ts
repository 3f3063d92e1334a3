import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { createAccessTokens } from '../../../src/http/tokens/accessTokens.ts'
import { secretKeyRing } from './fixedKeyRing.ts'
import { claimsAt, forge, forgeText, goodHeader, secretKey, user } from './forgedTokens.ts'
import { hasAcceptableClaims, isCanonicalJson } from './libraryVerifier.ts'

const time = { now: Date.now() }
const clock = () => time.now
const tokens = createAccessTokens(
  { keyRing: secretKeyRing(secretKey), issuer: 'audittrail', audience: 'audittrail' },
  clock,
)
const seconds = () => Math.floor(time.now / 1000)
const goodClaims = () => claimsAt(seconds())

describe('signed claims', () => {
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
  /** Mostly the valid value, so that often only one claim is invalid. */
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

  test('are accepted exactly when an independent check accepts them', () => {
    const seen = { accepted: 0, rejected: 0 }
    fc.assert(
      fc.property(anyClaims, (claims) => {
        const text = JSON.stringify(claims)
        const expected = hasAcceptableClaims(JSON.parse(text), seconds())
        seen[expected ? 'accepted' : 'rejected']++
        const token = forgeText(JSON.stringify(goodHeader), text)
        expect(tokens.verify(token) !== undefined).toBe(expected)
        // Again, from the cache.
        expect(tokens.verify(token) !== undefined).toBe(expected)
      }),
      { numRuns: 3000 },
    )
    expect(Math.min(seen.accepted, seen.rejected)).toBeGreaterThan(300)
  })

  test('are rejected in any other JSON form', () => {
    const forms = [
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
      fc.property(fc.constantFrom(...forms), fc.nat(), fc.boolean(), (reformat, n, inHeader) => {
        const [header, claims] = [JSON.stringify(goodHeader), JSON.stringify(goodClaims())]
        const [before, after] = inHeader
          ? [header, reformat(header, n % header.length)]
          : [claims, reformat(claims, n % claims.length)]
        // A space inside a name only makes another name.
        fc.pre(after !== before && !isCanonicalJson(after))
        expect(tokens.verify(inHeader ? forgeText(after, claims) : forgeText(header, after))).toBeUndefined()
      }),
      { numRuns: 1000 },
    )
  })

  test('of any bytes are rejected without an exception', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.uint8Array({ maxLength: 200 }), (header, claims) => {
        expect(tokens.verify(forgeText(header, claims))).toBeUndefined()
        expect(tokens.verify(forgeText(JSON.stringify(goodHeader), claims))).toBeUndefined()
      }),
    )
  })

  test('in the cache are rejected from the second they expire', () => {
    const before = time.now
    const token = forge(goodHeader, { ...goodClaims(), exp: seconds() + 1 })
    expect(tokens.verify(token)).toBeDefined()
    time.now = (seconds() + 1) * 1000
    expect(tokens.verify(token)).toBeUndefined()
    time.now = before
  })
})
