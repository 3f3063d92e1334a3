import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { isSameOrigin, type RequestFacts, requestedOrigin } from '../../../src/http/browser/sameOrigin.ts'

const page = 'https://app.example.com'
const own = [page]
const ownOrigins = () => own
const facts: RequestFacts = { method: 'GET', isUpgrade: false, site: null, mode: null, dest: null, origin: null }
const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'get', '', null]

const anyFacts = fc.record<RequestFacts>({
  method: fc.constantFrom(...methods),
  isUpgrade: fc.boolean(),
  site: fc.oneof(fc.constantFrom(null, '', 'same-origin', 'none', 'same-site', 'cross-site'), fc.string()),
  mode: fc.oneof(fc.constantFrom(null, '', 'navigate', 'cors', 'no-cors', 'websocket', 'same-origin'), fc.string()),
  dest: fc.oneof(fc.constantFrom(null, '', 'document', 'iframe', 'empty'), fc.string()),
  origin: fc.oneof(fc.constantFrom(null, '', 'null', page, 'https://evil.example.com'), fc.string()),
})

describe('the same-origin rule', () => {
  test.each([
    ['a script of the page', { site: 'same-origin', mode: 'cors', method: 'POST' }, true],
    ['the address bar', { site: 'none', mode: 'navigate' }, true],
    ['a link of a sibling', { site: 'same-site', mode: 'navigate' }, 'links'],
    ['a link of a foreign site', { site: 'cross-site', mode: 'navigate' }, 'links'],
    ['a link in a tab', { site: 'cross-site', mode: 'navigate', dest: 'document' }, 'links'],
    ['a frame of a sibling', { site: 'same-site', mode: 'navigate', dest: 'iframe' }, false],
    ['an object of a sibling', { site: 'same-site', mode: 'navigate', dest: 'object' }, false],
    ['a frame of the page', { site: 'same-origin', mode: 'navigate', dest: 'iframe' }, true],
    ['a form of a sibling', { site: 'same-site', mode: 'navigate', method: 'POST' }, false],
    ['an image of a sibling', { site: 'same-site', mode: 'no-cors' }, false],
    ['a fetch of a foreign site', { site: 'cross-site', mode: 'cors' }, false],
    ['a header sent twice', { site: 'same-origin, cross-site', mode: 'cors' }, false],
    ['a WebSocket of the page', { isUpgrade: true, origin: page }, true],
    ['a WebSocket of a sibling', { isUpgrade: true, origin: 'https://evil.example.com' }, false],
    ['a WebSocket without Origin', { isUpgrade: true }, false],
    ['a form of a page over http', { method: 'POST', origin: page }, true],
    ['a form without Origin', { method: 'POST' }, false],
    ['a form of an opaque origin', { method: 'POST', origin: 'null' }, false],
    ['an upgrade by a link', { site: 'cross-site', mode: 'navigate', isUpgrade: true }, false],
    ['an unknown method', { method: null }, false],
    ['a link over http', {}, true],
    ['a fetch of a foreign page over http', { origin: 'http://evil.example' }, false],
  ] as const)('decides on %s', (_, part, expected) => {
    expect(isSameOrigin({ ...facts, ...part }, ownOrigins, true)).toBe(expected !== false)
    expect(isSameOrigin({ ...facts, ...part }, ownOrigins, false)).toBe(expected === true)
  })

  test('lets no request of another site change anything', () => {
    fc.assert(
      fc.property(anyFacts, fc.boolean(), (request, acceptsLinks) => {
        if (request.site === 'same-origin' || request.site === 'none') return
        const isChange = request.isUpgrade || (request.method !== 'GET' && request.method !== 'HEAD')
        const isOwn = !request.site && own.includes(request.origin ?? '')
        if (isChange && !isOwn) expect(isSameOrigin(request, ownOrigins, acceptsLinks)).toBe(false)
      }),
      { numRuns: 20_000 },
    )
  })

  test('is stricter without links, and with fewer origins', () => {
    fc.assert(
      fc.property(anyFacts, (request) => {
        if (isSameOrigin(request, ownOrigins, false)) expect(isSameOrigin(request, ownOrigins, true)).toBe(true)
        if (isSameOrigin(request, () => [], true)) expect(isSameOrigin(request, ownOrigins, true)).toBe(true)
      }),
      { numRuns: 20_000 },
    )
  })
})

test.each([
  ['http://localhost:8000/', undefined, false, 'http://localhost:8000'],
  ['http://internal/', 'App.Example.com', true, 'https://app.example.com'],
  ['http://internal/', 'app.example.com:443', true, 'https://app.example.com'],
  ['http://internal/', 'app.example.com:80', false, 'http://app.example.com'],
  ['http://internal/', '[::1]:8443', true, 'https://[::1]:8443'],
])('the origin of %s with Host %p, secure: %p, is written as by browsers', (url, host, isSecure, expected) => {
  expect(requestedOrigin(new Request(url, host === undefined ? {} : { headers: { host } }), isSecure)).toBe(expected)
})
