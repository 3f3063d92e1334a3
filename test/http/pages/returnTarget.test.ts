import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { readPageQuery, returnTarget } from '../../../src/http/pages/returnTarget.ts'
import { hostileTargets } from '../../pages/hostileTargets.ts'

const origin = 'https://apps.example.com'
const bases = ['/api/sign-in', '/sign-in', '/api/account/password', '/a/b/sign-in/']

/** Fails if a browser on one of our pages would leave the origin for the Location. */
function expectOwnOrigin(text: string): void {
  const target = returnTarget(text, '/api')
  if (target === undefined) return
  expect(target).toMatch(/^\/[\x21-\x7e]*$/)
  for (const base of bases) {
    const resolved = new URL(target, origin + base)
    expect(resolved.origin).toBe(origin)
    expect(resolved.username + resolved.password).toBe('')
    expect(resolved.pathname + resolved.search + resolved.hash).toBe(target)
    expect(resolved.pathname).not.toStartWith('//')
  }
  // A second check accepts it, and changes nothing: forms and redirects pass it on.
  expect(returnTarget(target, '/api')).toBe(target)
}

const pieces = fc.constantFrom(
  ...['/', '//', '\\', '.', '..', '%2e', '%2E', '%2f', '%5c', '%00', '%0a', '%09', '\t', '\n', '\r', ' ', '\u00a0'],
  ...['@', ':', '?', '#', '&', ';', '=', 'evil.example', 'https:', 'http:', 'javascript:', 'data:', '//evil.example'],
  ...[
    '\u2044',
    '\uff0f',
    '\u3002',
    '\ufeff',
    '\u202e',
    '\0',
    '[',
    ']',
    '^',
    '|',
    '"',
    '<',
    '>',
    '`',
    '{',
    '}',
    'a',
    '1',
  ],
)
const spliced = fc.array(pieces, { maxLength: 14 }).map((parts) => parts.join(''))
const generated = fc.oneof(
  { weight: 5, arbitrary: spliced.map((text) => `/${text}`) },
  { weight: 2, arbitrary: spliced },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 40 }) },
  { weight: 1, arbitrary: fc.webUrl({ withQueryParameters: true, withFragments: true }) },
  { weight: 1, arbitrary: fc.webPath() },
)

describe('returnTarget', () => {
  test('never leaves the origin for 100,000 generated texts', () => {
    let accepted = 0
    fc.assert(
      fc.property(generated, (text) => {
        if (returnTarget(text, '/api') !== undefined) accepted++
        expectOwnOrigin(text)
      }),
      { numRuns: 100_000 },
    )
    expect(accepted).toBeGreaterThan(10_000)
  })

  test.each(hostileTargets)('stays on the same origin for %j', (text) => {
    expectOwnOrigin(text)
  })

  test.each([
    ['/', '/'],
    ['/reports/q3?tab=costs&x=1#part', '/reports/q3?tab=costs&x=1#part'],
    ['/a/../b', '/b'],
    ['/x?y=%zz&return=/other', '/x?y=%zz&return=/other'],
    ['/@evil.example', '/@evil.example'],
    ['/search?q=https://evil.example//', '/search?q=https://evil.example//'],
    ['/api/sign-inn', '/api/sign-inn'],
    ['/api/account', '/api/account'],
  ])('accepts %s', (text, expected) => {
    expect(returnTarget(text, '/api')).toBe(expected)
  })

  test.each([
    '',
    'x',
    '//x',
    '/\\x',
    '/.//x',
    '/a b',
    '/é',
    `/${'a'.repeat(2000)}`,
    '/api/sign-in',
    '/api/sign-out/',
    '/api/x/../sign-in?return=/',
  ])('rejects %j', (text) => {
    expect(returnTarget(text, '/api')).toBeUndefined()
  })
})

describe('readPageQuery', () => {
  test.each([
    ['http://h/api/sign-in', '', ''],
    ['http://h/api/sign-in?return=/x?y=1&z=2', '', '/x?y=1&z=2'],
    ['http://h/api/sign-in?step=role&return=/x?return=/y&%zz', 'role', '/x?return=/y&%zz'],
    ['http://h/api/sign-in?noreturn=/x', '', ''],
    ['http://h/api/sign-in?step=a%20b&return=', 'a b', ''],
  ])('reads everything after `return=` in %s', (url, step, target) => {
    const query = readPageQuery(url)
    expect([query.parameters.get('step') ?? '', query.target]).toEqual([step, target])
  })
})
