import { describe, expect, test } from 'bun:test'
import { randomBytes, randomUUID } from 'node:crypto'
import fc from 'fast-check'
import { createSessionCookies, findCookie } from '../../../src/http/browser/sessionCookie.ts'
import { createRefreshTokens } from '../../../src/http/tokens/refreshTokens.ts'

const secretKeys = { current: randomBytes(32).toString('hex'), previous: [] }
const cookies = createSessionCookies(() => secretKeys)
const credential = { sessionId: randomUUID(), generation: 3 }
const requestWith = (cookie: string) => new Request('http://localhost/', { headers: { cookie } })
const pairOf = (isSecure: boolean) => cookies.set({ ...credential, maxAge: undefined }, isSecure).split(';')[0] ?? ''

describe('the session cookie', () => {
  test('over https has the prefix __Host- and is Secure', () => {
    expect(cookies.set({ ...credential, maxAge: 60 }, true)).toMatch(
      /^__Host-audittrail=ats_[\w-]{70}; Max-Age=60; Path=\/; HttpOnly; SameSite=Lax; Secure$/,
    )
    expect(cookies.expire(true)).toBe('__Host-audittrail=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax; Secure')
  })

  test('over http has a plain name', () => {
    expect(cookies.set({ ...credential, maxAge: undefined }, false)).toMatch(
      /^audittrail=ats_[\w-]{70}; Path=\/; HttpOnly; SameSite=Lax$/,
    )
  })

  test('is read on its own scheme only', () => {
    expect(cookies.read(requestWith(pairOf(true)), true)).toEqual(credential)
    expect(cookies.read(requestWith(pairOf(false)), false)).toEqual(credential)
    expect(cookies.read(requestWith(pairOf(true)), false)).toBeUndefined()
    expect(cookies.read(requestWith(pairOf(false)), true)).toBeUndefined()
  })

  test('is found among others, in any order', () => {
    const pair = pairOf(false)
    for (const header of [`a=1; ${pair}`, `${pair};b=2`, `x${pair}; ${pair}`, `a="x"; ;${pair}; `])
      expect(cookies.read(requestWith(header), false)).toEqual(credential)
  })

  test('is not accepted twice, not even with the same value', () => {
    const pair = pairOf(false)
    for (const header of [`${pair}; ${pair}`, `audittrail=; ${pair}`, `${pair}; audittrail=x`, `${pair}, ${pair}`])
      expect(cookies.read(requestWith(header), false)).toBeUndefined()
  })

  test('is not accepted under a name that a browser reads as another one', () => {
    // A sibling can set such names for its domain, also over http: they have no prefix.
    for (const [blank, isSecure] of [
      ['\u00a0', true],
      ['\u0085', true],
      ['\u00a0', false],
      ['x', true],
    ] as const)
      expect(cookies.read(requestWith(`a=1; ${blank}${pairOf(isSecure)}`), isSecure)).toBeUndefined()
  })

  test('is the only one of its name beside a similar name', () => {
    expect(cookies.read(requestWith(`\u00a0audittrail=x; ${pairOf(false)}`), false)).toEqual(credential)
    expect(cookies.read(requestWith(`audittrail_device=x; audittrail2=y; ${pairOf(false)}`), false)).toEqual(credential)
  })

  test('counts as two where Nginx would count two, in the value of another cookie', () => {
    for (const value of ['x audittrail=y', '"audittrail=y"', 'x,audittrail=y', 'x; audittrail =y'])
      expect(cookies.read(requestWith(`a=${value}; ${pairOf(false)}`), false)).toBeUndefined()
    expect(cookies.read(requestWith(`a=audittrail=y; ${pairOf(false)}`), false)).toEqual(credential)
  })

  test('is not a refresh token, nor one of another key', () => {
    const value = pairOf(false).slice('audittrail='.length)
    const refreshToken = createRefreshTokens(() => secretKeys).make(credential)
    const other = createSessionCookies(() => ({ current: randomBytes(32).toString('hex'), previous: [] }))
    expect(cookies.read(requestWith(`audittrail=${refreshToken}`), false)).toBeUndefined()
    expect(cookies.read(requestWith(`audittrail=ats_${refreshToken.slice(4)}`), false)).toBeUndefined()
    expect(createRefreshTokens(() => secretKeys).read(`atr_${value.slice(4)}`)).toBeUndefined()
    expect(other.read(requestWith(pairOf(false)), false)).toBeUndefined()
  })

  test('of a previous SECRET_KEY is accepted', () => {
    const next = createSessionCookies(() => ({
      current: randomBytes(32).toString('hex'),
      previous: [secretKeys.current],
    }))
    expect(next.read(requestWith(pairOf(false)), false)).toEqual(credential)
  })

  test('with one changed character is not accepted', () => {
    const value = pairOf(false).slice('audittrail='.length)
    for (let at = 0; at < value.length; at++)
      for (const character of ['A', 'z', '-', '_', '=', '.', ' ', '%'])
        if (value[at] !== character) {
          const changed = `${value.slice(0, at)}${character}${value.slice(at + 1)}`
          expect(cookies.read(requestWith(`audittrail=${changed}`), false)).toBeUndefined()
        }
  })

  test('of any text is not accepted', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 200, unit: 'binary-ascii' }), (text) => {
        const header = `audittrail=${text.replaceAll(/[^\x20-\x7e]/g, '')}`
        expect(cookies.read(requestWith(header), false)).toBeUndefined()
      }),
      { numRuns: 5000 },
    )
  })

  test('is found exactly if it is the only one of its name', () => {
    const pair = fc.tuple(
      fc.constantFrom('audittrail', 'Audittrail', 'audittrail_device', 'x', ''),
      fc.stringMatching(/^[\w-]{0,8}$/),
    )
    fc.assert(
      fc.property(fc.array(pair, { maxLength: 6 }), fc.constantFrom('; ', ';', ' ;  '), (pairs, separator) => {
        const header = pairs.map(([name, value]) => `${name}=${value}`).join(separator)
        const own = pairs.filter(([name]) => name === 'audittrail')
        expect(findCookie(header, 'audittrail')).toBe(own.length === 1 ? own[0]?.[1] : undefined)
      }),
      { numRuns: 5000 },
    )
  })
})
