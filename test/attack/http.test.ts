import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { accessToken, me, type Server, serve } from '../binary/binary.ts'
import { createDatabase } from '../postgresql.ts'
import { type RawRequest, rawRequest, sendRaw } from './rawSocket.ts'

const origin = 'https://app.example.com'
let server: Server
let port: number
beforeAll(async () => {
  const environment = { DATABASE_URL: await createDatabase(), SECRET_KEY: 'k'.repeat(32), CORS_ORIGINS: origin }
  server = await serve({ environment: { ...environment, PASSWORD_MEMORY_KIB: '8192', PASSWORD_TIME_COST: '1' } })
  port = Number(new URL(server.url).port)
})
afterAll(async () => {
  await expectToServe()
  await server.stop()
})

/** Whatever was thrown at it: it lives and lets the right one in. */
async function expectToServe(): Promise<void> {
  const token = await accessToken(server.url)
  expect((await me(server.url, token)).status).toBe(200)
  expect(server.process.exitCode).toBeNull()
}

const form = 'Content-Type: application/x-www-form-urlencoded'
const chunked = 'Transfer-Encoding: chunked'
const post = (headers: readonly string[], body: string, more: RawRequest = {}) =>
  rawRequest({ method: 'POST', target: '/api/auth/login', headers: [form, ...headers], body, ...more })
/** What an attacker would hide in the body of another request: it must never be answered. */
const smuggled = rawRequest({ target: '/api/openapi.json' })
/** What shows that a connection is still in step. */
const next = rawRequest({ target: '/api/nowhere' })

function expectProblem(text: string, status: number): void {
  expect(text).toStartWith(`HTTP/1.1 ${status} `)
  expect(text).toMatch(/content-type: application\/(problem\+)?json/i)
  expect(text).toMatch(/x-request-id: \S+/i)
  expect(text).toContain('"type":"urn:audittrail:problem:')
}

/** Its own answer, were it a bare one of Bun's, and the connection closed: nothing behind it is read. */
async function expectNothingSmuggled(bytes: string): Promise<void> {
  const { text, statuses, isClosed } = await sendRaw(port, bytes)
  expect(statuses).toEqual([400])
  expect(isClosed).toBe(true)
  expect(text).not.toContain('"openapi"')
}

describe('a request whose length can be read in two ways is refused and the connection closed', () => {
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

describe('what is read in one way', () => {
  test('a chunk extension is skipped', async () => {
    const { statuses, text } = await sendRaw(port, post([chunked], `3;name="value"\r\na=b\r\n0\r\n\r\n${next}`))
    expect(statuses).toEqual([400, 404])
    expectProblem(text, 400)
  })

  test('a trailer is no second request', async () => {
    const { statuses, isClosed, text } = await sendRaw(
      port,
      post([chunked], `3\r\na=b\r\n0\r\nGET /api/openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n${smuggled}`),
    )
    expect(text).not.toContain('"openapi"')
    expect(statuses).toEqual([400, 400])
    expect(isClosed).toBe(true)
  })

  test('requests behind each other are answered in their order', async () => {
    const { statuses } = await sendRaw(
      port,
      rawRequest() + next + rawRequest({ target: '/api/auth/me' }) + rawRequest(),
    )
    expect(statuses).toEqual([200, 404, 401, 200])
  })

  test('a body that a route does not read is no second request', async () => {
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

  test('a locked route refuses before it reads', async () => {
    const headers = ['Content-Type: application/json', 'Content-Length: 50000']
    const { statuses, text } = await sendRaw(port, rawRequest({ method: 'POST', target: '/api/users', headers }))
    expect(statuses).toEqual([401])
    expectProblem(text, 401)
  })

  test('Expect: 100-continue is answered', async () => {
    const { statuses } = await sendRaw(port, post(['Expect: 100-continue', 'Content-Length: 3'], ''))
    expect(statuses).toEqual([100])
  })
})

describe('where a request is for', () => {
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
    ['/'],
    ['/bun:info'],
    ['/api/../../../../etc/passwd'],
    ['/api/docs/../../../etc/passwd'],
    ['/api/docs/..%2f..%2f..%2fetc%2fpasswd'],
    ['/api/docs/%2e%2e/%2e%2e/etc/passwd'],
    ['/api/%zz'],
    ['/api/%ff'],
    [`/api/${'a'.repeat(8000)}`],
    [`/api/${'../'.repeat(2000)}x`],
  ])('%s is nothing', async (target) => {
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
  ])('%s is /api/health', async (target) => {
    expect((await get(target)).statuses).toEqual([200])
  })

  test('stays locked in every spelling that is served', async () => {
    for (const target of ['/api/auth/me/', '/api/health/../auth/me', '/api/%2e/auth/me', 'http://a.example/api/users'])
      expect((await get(target)).statuses).toEqual([401])
  })

  test.each([['*'], ['api/health'], ['?a'], ['ftp://localhost/api/health'], ['javascript:alert(1)'], ['/api/he alth']])(
    '%s is no target',
    async (target) => {
      const { statuses, isClosed } = await get(target)
      expect(statuses[0]).toBeOneOf([400, 505])
      expect(isClosed).toBe(true)
    },
  )

  test('an endless target is 431 and nothing else', async () => {
    const { statuses, isClosed } = await get(`/api/${'a'.repeat(70_000)}`)
    expect(statuses).toEqual([431])
    expect(isClosed).toBe(true)
  })

  test('a second Host, or one that moves the path, is refused', async () => {
    for (const host of ['Host: other', 'Host: localhost/api', 'Host: a b', 'Host: é'])
      expect((await get('/api/health', [host])).statuses).toEqual([400])
  })

  test('without a Host HTTP/1.1 is refused, HTTP/1.0 served', async () => {
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

  test('an upgrade is not taken', async () => {
    const websocket = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13']
    const key = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='
    expect((await get('/api/health', [...websocket, key])).statuses).toEqual([200])
    expect((await get('/api/health', ['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c'])).statuses).toEqual([200])
  })
})

describe('methods', () => {
  const call = (method: string, target: string, headers: readonly string[] = []) =>
    sendRaw(port, rawRequest({ method, target, headers }))

  test.each(['TRACE', 'CONNECT'])(
    '%s is 405 everywhere and gives nothing back',
    async (method) => {
      for (const target of ['/api/health', '/api/auth/login', '/api/nowhere', '/']) {
        const { text } = await call(method, target, ['X-Own: s3cret', 'Cookie: s3cret'])
        expectProblem(text, 405)
        expect(text).toMatch(/^allow:/im)
        expect(text).not.toContain('s3cret')
      }
    },
    20_000,
  )

  test('that a path does not have are 405 with Allow', async () => {
    for (const method of ['PUT', 'DELETE', 'PROPFIND', 'PURGE', 'SEARCH', 'LINK']) {
      const { text } = await call(method, '/api/health')
      expectProblem(text, 405)
      expect(text).toMatch(/^allow: GET, HEAD\r$/im)
    }
    expect((await call('POST', '/api/health', ['X-HTTP-Method-Override: GET', 'Content-Length: 0'])).statuses).toEqual([
      405,
    ])
  })

  test('OPTIONS tells them', async () => {
    const { text, statuses } = await call('OPTIONS', '/api/users/x')
    expect(statuses).toEqual([204])
    expect(text).toMatch(/^allow: DELETE, GET, HEAD, PATCH, OPTIONS\r$/im)
    expect(text).toEndWith('\r\n\r\n')
  })

  test('HEAD has the headers of GET, a right length or none, and no body', async () => {
    for (const target of [
      '/api/health',
      '/api/openapi.json',
      '/api/docs',
      '/api/docs/swagger-ui-bundle.js',
      '/api/auth/me',
    ]) {
      const headers = ['X-Request-Id: same', 'Accept-Encoding: gzip']
      const [get, head] = [await call('GET', target, headers), await call('HEAD', target, headers)]
      const names = (text: string) =>
        (text.split('\r\n\r\n')[0] ?? '')
          .split('\r\n')
          .map((line) => line.replace(/^date:.*/i, 'date').toLowerCase())
          .sort()
      expect(names(head.text)).toEqual(names(get.text))
      expect(head.text.split('\r\n\r\n')[1]).toBe('')
      const both = await sendRaw(port, rawRequest({ method: 'HEAD', target }) + next)
      expect(both.statuses.at(-1)).toBe(404)
    }
  })
})

describe('a body', () => {
  const tooLong = 'x'.repeat(70_000)
  const chunk = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`

  test.each([
    ['with its length', post([`Content-Length: ${tooLong.length}`], tooLong)],
    ['in one chunk', post([chunked], `${chunk(tooLong)}0\r\n\r\n`)],
    ['in many chunks', post([chunked], `${chunk('x'.repeat(700)).repeat(100)}0\r\n\r\n`)],
  ])('of more than 64 KB %s is 413, and the connection goes on', async (_what, bytes) => {
    const { text, statuses } = await sendRaw(port, bytes + next)
    expect(statuses).toEqual([413, 404])
    expectProblem(text, 413)
  })

  test('that announces 100 KB is refused before it comes', async () => {
    expect((await sendRaw(port, post(['Content-Length: 100000'], ''))).statuses).toEqual([413])
  })

  test('that announces a terabyte is refused, and the connection closed', async () => {
    const { statuses, isClosed } = await sendRaw(port, post(['Content-Length: 1099511627776'], 'a=b'))
    expect(statuses).toEqual([413])
    expect(isClosed).toBe(true)
  })

  test('of many megabytes costs no memory where nobody reads it', async () => {
    const before = residentKib()
    const flood = chunk('x'.repeat(65_536)).repeat(512)
    for (const target of ['/api/health', '/api/auth/login', '/api/users', '/api/nowhere']) {
      const bytes = post([chunked], `${flood}0\r\n\r\n${next}`, { target })
      expect((await sendRaw(port, bytes, { silence: 1000 })).statuses.at(-1)).toBe(404)
    }
    expect(residentKib() - before).toBeLessThan(32_768)
  })

  test('of which half comes before the client goes is no failure of ours', async () => {
    for (let round = 0; round < 20; round++)
      await sendRaw(port, post(['Content-Length: 1000'], 'username=admin'), { untilClosed: 5 })
    await Bun.sleep(100)
    expect(server.output.stdout).not.toContain('request.failed')
  })

  test('in another coding is refused', async () => {
    for (const coding of ['gzip', 'br', 'identity']) {
      const { statuses } = await sendRaw(port, post([`Content-Encoding: ${coding}`, 'Content-Length: 3'], 'a=b'))
      expect(statuses).toEqual([415])
    }
  })
})

describe('who sends slowly', () => {
  test('is cut off, and does not keep the process from ending', async () => {
    const half = post(['Content-Length: 1000'], 'username=')
    const [headers, stalled, trickling, ending] = await Promise.all([
      sendRaw(port, 'GET /api/health HTTP/1.1\r\nX-A: ', { untilClosed: 20_000, trickle: { bytes: 'x', every: 500 } }),
      sendRaw(port, half, { untilClosed: 20_000 }),
      sendRaw(port, post([chunked], ''), { untilClosed: 20_000, trickle: { bytes: '1\r\nx\r\n', every: 500 } }),
      endWhile(half),
    ])
    expect({ text: headers.text, isClosed: headers.isClosed }).toEqual({ text: '', isClosed: true })
    for (const answer of [stalled, trickling]) {
      expectProblem(answer.text, 408)
      expect(answer.text).toMatch(/^connection: close\r$/im)
      expect(answer.isClosed).toBe(true)
      expect(answer.took).toBeGreaterThan(9_000)
      expect(answer.took).toBeLessThan(14_000)
    }
    expect(ending.code).toBe(0)
    expect(ending.took).toBeLessThan(12_000)
  }, 30_000)
})

/** Ends another server while a client keeps it waiting. */
async function endWhile(stalling: string): Promise<{ code: number | null; took: number }> {
  const other = await serve({ environment: { DATABASE_URL: await createDatabase(), SECRET_KEY: 'k'.repeat(32) } })
  const stalled = sendRaw(Number(new URL(other.url).port), stalling, { untilClosed: 20_000 })
  await Bun.sleep(200)
  const began = performance.now()
  const { code } = await other.stop()
  const took = performance.now() - began
  await stalled
  return { code, took }
}

describe('what an answer tells', () => {
  test('nothing of the program: no Server, no version, no path', async () => {
    const bytes = [
      rawRequest(),
      next,
      post(['Content-Length: 3'], '%zz'),
      rawRequest({ target: '/api/health?%zz' }),
      rawRequest({ method: 'TRACE' }),
      'GET / HTTP/9.9\r\n\r\n',
    ]
    for (const request of bytes) {
      const { text } = await sendRaw(port, request)
      expect(text).not.toMatch(/^(server|x-powered-by|via):/im)
      expect(text).not.toMatch(/\b(bun|elysia|node|postgres|drizzle)\b/i)
      expect(text).not.toContain(server.directory)
    }
  })

  test('a browser on another origin: what the list allows', async () => {
    const preflight = (from: string) =>
      sendRaw(
        port,
        rawRequest({
          method: 'OPTIONS',
          target: '/api/auth/login',
          headers: [`Origin: ${from}`, 'Access-Control-Request-Method: POST'],
        }),
      )
    expect((await preflight(origin)).text).toMatch(/^access-control-allow-origin: https:\/\/app\.example\.com\r$/im)
    for (const from of ['null', 'https://evil.example', `${origin}.evil.example`, `${origin}\r\nOrigin: ${origin}`])
      expect((await preflight(from)).text).not.toMatch(/^access-control-/im)
  })
})

function residentKib(): number {
  const status = readFileSync(`/proc/${server.process.pid}/status`, 'utf8')
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1])
}
