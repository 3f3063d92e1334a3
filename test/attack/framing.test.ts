import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { type Server, serve } from '../binary/binary.ts'
import { createDatabase } from '../postgresql.ts'
import { chunked, expectProblem, expectToServe, next, post } from './rawLogin.ts'
import { rawRequest, sendRaw } from './rawSocket.ts'

const environment = { SECRET_KEY: 'k'.repeat(32), PASSWORD_MEMORY_KIB: '8192', PASSWORD_TIME_COST: '1' }
let server: Server
let port: number
beforeAll(async () => {
  server = await serve({ environment: { ...environment, DATABASE_URL: await createDatabase() } })
  port = Number(new URL(server.url).port)
})
afterAll(async () => {
  await expectToServe(server)
  await server.stop()
})

/** What an attacker hides in the body of another request. It must never get a response. */
const smuggled = rawRequest({ target: '/api/openapi.json' })

/**
 * Expects one 400 (possibly Bun's own) and a closed connection, so that nothing after it is read.
 */
async function expectNothingSmuggled(bytes: string): Promise<void> {
  const { text, statuses, isClosed } = await sendRaw(port, bytes)
  expect(statuses).toEqual([400])
  expect(isClosed).toBe(true)
  expect(text).not.toContain('"openapi"')
}

describe('request smuggling: an ambiguous length returns 400 and closes the connection', () => {
  test.each([
    ['Content-Length and Transfer-Encoding', ['Content-Length: 5', chunked], `0\r\n\r\n${smuggled}`],
    ['Transfer-Encoding and Content-Length', [chunked, 'Content-Length: 5'], `0\r\n\r\n${smuggled}`],
    ['two Content-Lengths', ['Content-Length: 1', `Content-Length: ${smuggled.length}`], `a${smuggled}`],
    ['a list of Content-Lengths', ['Content-Length: 1, 1'], `a${smuggled}`],
    ['a negative Content-Length', ['Content-Length: -1'], smuggled],
    ['a signed Content-Length', ['Content-Length: +1'], `a${smuggled}`],
    ['a hexadecimal Content-Length', ['Content-Length: 0x1'], `a${smuggled}`],
    ['an empty Content-Length', ['Content-Length:'], smuggled],
    ['an endless Content-Length', [`Content-Length: ${'9'.repeat(40)}`], smuggled],
    ['an unknown Transfer-Encoding', ['Transfer-Encoding: xchunked'], `0\r\n\r\n${smuggled}`],
    ['chunked twice', ['Transfer-Encoding: chunked, chunked'], `0\r\n\r\n${smuggled}`],
    ['chunked and identity', [chunked, 'Transfer-Encoding: identity'], `0\r\n\r\n${smuggled}`],
    ['a compressed Transfer-Encoding', ['Transfer-Encoding: gzip, chunked'], `0\r\n\r\n${smuggled}`],
    ['a space before the colon', ['Transfer-Encoding : chunked'], `0\r\n\r\n${smuggled}`],
    ['a vertical tab before the value', ['Transfer-Encoding: \x0bchunked'], `0\r\n\r\n${smuggled}`],
    ['an obsolete fold', ['X-A: b', ' Content-Length: 5'], smuggled],
    ['a header without a name', [': 5'], smuggled],
    ['a space in a name', ['X A: b'], smuggled],
    ['a bare CR', ['X-A: b\rContent-Length: 5'], smuggled],
    ['a bare LF', ['X-A: b\nContent-Length: 5'], smuggled],
    ['a NUL', ['X-A: b\0c'], smuggled],
  ])('%s', async (_what, headers, body) => {
    await expectNothingSmuggled(post(headers, body))
  })

  test.each([
    ['no number', `zz\r\na=b\r\n0\r\n\r\n${smuggled}`],
    ['a negative one', `-3\r\na=b\r\n0\r\n\r\n${smuggled}`],
    ['one beyond 64 bits', `ffffffffffffffff1\r\na=b\r\n0\r\n\r\n${smuggled}`],
    ['an LF in its extension', `3;x\ny\r\na=b\r\n0\r\n\r\n${smuggled}`],
    ['bare LFs', `3\na=b\n0\n\n${smuggled}`],
    ['more data than it says', `3\r\na=bc\r\n0\r\n\r\n${smuggled}`],
  ])('a chunk size that is %s', async (_what, body) => {
    await expectNothingSmuggled(post([chunked], body))
  })
})

describe('unambiguous framing', () => {
  test('a chunk extension is ignored', async () => {
    const { statuses, text } = await sendRaw(port, post([chunked], `3;name="value"\r\na=b\r\n0\r\n\r\n${next}`))
    expect(statuses).toEqual([400, 404])
    expectProblem(text, 400)
  })

  test('a trailer is not treated as a second request', async () => {
    const { statuses, isClosed, text } = await sendRaw(
      port,
      post([chunked], `3\r\na=b\r\n0\r\nGET /api/openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n${smuggled}`),
    )
    expect(text).not.toContain('"openapi"')
    expect(statuses).toEqual([400, 400])
    expect(isClosed).toBe(true)
  })

  test('pipelined requests are answered in order', async () => {
    const { statuses } = await sendRaw(
      port,
      rawRequest() + next + rawRequest({ target: '/api/auth/me' }) + rawRequest(),
    )
    expect(statuses).toEqual([200, 404, 401, 200])
  })

  test('an unread body is not treated as a second request', async () => {
    const body = smuggled
    const targets = ['/api/health', '/api/auth/me', '/api/nowhere', '/api/auth/login']
    for (const target of targets) {
      const request = rawRequest({ target, headers: [`Content-Length: ${body.length}`], body })
      const { statuses, text } = await sendRaw(port, request + next)
      expect(statuses).toHaveLength(2)
      expect(statuses[1]).toBe(404)
      expect(text).not.toContain('"openapi"')
    }
  })

  test('a guarded route returns 401 before it reads the body', async () => {
    const headers = ['Content-Type: application/json', 'Content-Length: 50000']
    const { statuses, text } = await sendRaw(port, rawRequest({ method: 'POST', target: '/api/users', headers }))
    expect(statuses).toEqual([401])
    expectProblem(text, 401)
  })

  test('Expect: 100-continue returns 100', async () => {
    const { statuses } = await sendRaw(port, post(['Expect: 100-continue', 'Content-Length: 3'], ''))
    expect(statuses).toEqual([100])
  })
})

describe('request target', () => {
  const get = (target: string, headers: readonly string[] = []) => sendRaw(port, rawRequest({ target, headers }))

  test.each([
    ['//api/health'],
    ['/api//health'],
    ['/api/health//'],
    ['/api%2fhealth'],
    ['/api%2Fhealth'],
    ['/API/health'],
    ['/api/health%00'],
    ['/api/health%20'],
    ['/api/health;a=b'],
    ['/api/health/.%00./'],
    ['/api/..%2fapi%2fhealth'],
    ['/%61pi/health'],
    ['/nowhere'],
    ['/bun:info'],
    ['/api/../../../../etc/passwd'],
    ['/api/docs/../../../etc/passwd'],
    ['/api/docs/..%2f..%2f..%2fetc%2fpasswd'],
    ['/api/docs/%2e%2e/%2e%2e/etc/passwd'],
    ['/api/%zz'],
    ['/api/%ff'],
    [`/api/${'a'.repeat(8000)}`],
    [`/api/${'../'.repeat(2000)}x`],
  ])('%s returns 404', async (target) => {
    const { text, statuses } = await get(target)
    expect(statuses).toEqual([404])
    expectProblem(text, 404)
    expect(text).not.toContain('root:')
  })

  test.each([
    '/api/health/',
    '/api/x/../health',
    '/api/x/%2e%2e/health',
    '/api/./health',
    'http://evil.example/api/health',
  ])('%s resolves to /api/health', async (target) => {
    expect((await get(target)).statuses).toEqual([200])
  })

  test('a guarded route stays guarded in every form of its path', async () => {
    for (const target of ['/api/auth/me/', '/api/health/../auth/me', '/api/%2e/auth/me', 'http://a.example/api/users'])
      expect((await get(target)).statuses).toEqual([401])
  })

  test.each([['*'], ['api/health'], ['?a'], ['ftp://localhost/api/health'], ['javascript:alert(1)'], ['/api/he alth']])(
    '%s is rejected as an invalid target',
    async (target) => {
      const { statuses, isClosed } = await get(target)
      expect(statuses[0]).toBeOneOf([400, 505])
      expect(isClosed).toBe(true)
    },
  )

  test('an overlong target returns 431', async () => {
    const { statuses, isClosed } = await get(`/api/${'a'.repeat(70_000)}`)
    expect(statuses).toEqual([431])
    expect(isClosed).toBe(true)
  })

  test('a second Host header or an invalid one returns 400', async () => {
    for (const host of ['Host: other', 'Host: localhost/api', 'Host: a b', 'Host: é'])
      expect((await get('/api/health', [host])).statuses).toEqual([400])
  })

  test('HTTP/1.1 without Host returns 400, HTTP/1.0 without Host is served', async () => {
    expect((await sendRaw(port, 'GET /api/health HTTP/1.1\r\n\r\n')).statuses).toEqual([400])
    expect((await sendRaw(port, 'GET /api/health HTTP/1.0\r\n\r\n')).text).toContain('{"status":"ok"}')
  })

  test.each([
    ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    ['HTTP/0.9', 'GET /api/health\r\n\r\n'],
    ['a version to come', 'GET /api/health HTTP/3.0\r\nHost: localhost\r\n\r\n'],
    ['a TLS greeting', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'.padEnd(517, '\0')],
    ['lines that end in LF', 'GET /api/health HTTP/1.1\nHost: localhost\n\n'],
    ['a small letter in the method', rawRequest({ method: 'get' })],
    ['an unknown method', rawRequest({ method: 'BREW' })],
  ])('%s is not served', async (_what, bytes) => {
    const { text, isClosed } = await sendRaw(port, bytes)
    expect(text).not.toContain('"status":"ok"')
    expect(text).not.toContain('HTTP/1.1 200')
    expect(isClosed).toBe(true)
  })

  test('an Upgrade header is ignored', async () => {
    const websocket = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13']
    const key = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='
    expect((await get('/api/health', [...websocket, key])).statuses).toEqual([200])
    expect((await get('/api/health', ['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c'])).statuses).toEqual([200])
  })
})
