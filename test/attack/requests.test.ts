import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { type Server, serve } from '../binary/binary.ts'
import { createDatabase } from '../postgresql.ts'
import { chunked, expectProblem, expectToServe, next, post } from './rawLogin.ts'
import { rawRequest, sendRaw } from './rawSocket.ts'

const origin = 'https://app.example.com'
const environment = { SECRET_KEY: 'k'.repeat(32), PASSWORD_MEMORY_KIB: '8192', PASSWORD_TIME_COST: '1' }
let server: Server
let port: number
beforeAll(async () => {
  server = await serve({ environment: { ...environment, DATABASE_URL: await createDatabase(), CORS_ORIGINS: origin } })
  port = Number(new URL(server.url).port)
})
afterAll(async () => {
  await expectToServe(server)
  await server.stop()
})

describe('methods', () => {
  const call = (method: string, target: string, headers: readonly string[] = []) =>
    sendRaw(port, rawRequest({ method, target, headers }))

  test.each(['TRACE', 'CONNECT'])(
    '%s returns 405 everywhere and echoes nothing',
    async (method) => {
      for (const target of ['/api/health', '/api/auth/login', '/api/nowhere', '/']) {
        const { text } = await call(method, target, ['X-Own: s3cret', 'Cookie: s3cret'])
        expectProblem(text, 405)
        expect(text).toMatch(/^allow:/im)
        expect(text).not.toContain('s3cret')
      }
    },
    120_000,
  )

  test('an unsupported method returns 405 with Allow', async () => {
    for (const method of ['PUT', 'DELETE', 'PROPFIND', 'PURGE', 'SEARCH', 'LINK']) {
      const { text } = await call(method, '/api/health')
      expectProblem(text, 405)
      expect(text).toMatch(/^allow: GET, HEAD\r$/im)
    }
    expect((await call('POST', '/api/health', ['X-HTTP-Method-Override: GET', 'Content-Length: 0'])).statuses).toEqual([
      405,
    ])
  })

  test('OPTIONS lists the supported methods', async () => {
    const { text, statuses } = await call('OPTIONS', '/api/users/x')
    expect(statuses).toEqual([204])
    expect(text).toMatch(/^allow: DELETE, GET, HEAD, PATCH, OPTIONS\r$/im)
    expect(text).toEndWith('\r\n\r\n')
  })

  test('HEAD returns the headers of GET and no body', async () => {
    for (const target of [
      '/api/health',
      '/api/openapi.json',
      '/api/docs',
      '/api/docs/swagger-ui-bundle.js',
      '/api/auth/me',
      '/api/auth/activity',
      '/api/audit/events',
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

describe('request body', () => {
  const tooLong = 'x'.repeat(70_000)
  const chunk = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`

  test.each([
    ['with its length', post([`Content-Length: ${tooLong.length}`], tooLong)],
    ['in one chunk', post([chunked], `${chunk(tooLong)}0\r\n\r\n`)],
    ['in many chunks', post([chunked], `${chunk('x'.repeat(700)).repeat(100)}0\r\n\r\n`)],
  ])('more than 64 KB %s returns 413 and keeps the connection open', async (_what, bytes) => {
    const { text, statuses } = await sendRaw(port, bytes + next)
    expect(statuses).toEqual([413, 404])
    expectProblem(text, 413)
  })

  test('a Content-Length of 100 KB returns 413 before the body arrives', async () => {
    expect((await sendRaw(port, post(['Content-Length: 100000'], ''))).statuses).toEqual([413])
  })

  test('a Content-Length of a terabyte returns 413 and closes the connection', async () => {
    const { statuses, isClosed } = await sendRaw(port, post(['Content-Length: 1099511627776'], 'a=b'))
    expect(statuses).toEqual([413])
    expect(isClosed).toBe(true)
  })

  test('a body of many megabytes is not kept: the response comes before its end, and the rest is skipped', async () => {
    const flood = chunk('x'.repeat(65_536)).repeat(512)
    for (const [target, status] of [
      ['/api/health', 405],
      ['/api/auth/login', 413],
      ['/api/users', 401],
      ['/api/nowhere', 404],
    ] as const) {
      const unfinished = chunk('x'.repeat(65_536)).repeat(2)
      expect((await sendRaw(port, post([chunked], unfinished, { target }))).statuses).toEqual([status])
      const bytes = post([chunked], `${flood}0\r\n\r\n${next}`, { target })
      expect((await sendRaw(port, bytes, { responses: 2 })).statuses.at(-1)).toBe(404)
    }
  })

  test('a client that disconnects mid-body is not logged as a server error', async () => {
    for (let round = 0; round < 20; round++)
      await sendRaw(port, post(['Content-Length: 1000'], 'username=admin'), { untilClosed: 5 })
    await Bun.sleep(100)
    expect(server.output.stdout).not.toContain('request.failed')
  })

  test('a Content-Encoding returns 415', async () => {
    for (const coding of ['gzip', 'br', 'identity']) {
      const { statuses } = await sendRaw(port, post([`Content-Encoding: ${coding}`, 'Content-Length: 3'], 'a=b'))
      expect(statuses).toEqual([415])
    }
  })
})

describe('slow clients', () => {
  test('are disconnected and do not delay shutdown', async () => {
    const half = post(['Content-Length: 1000'], 'username=')
    const [headers, stalled, trickling, ending] = await Promise.all([
      sendRaw(port, 'GET /api/health HTTP/1.1\r\nX-A: ', { untilClosed: 100_000, trickle: { bytes: 'x', every: 500 } }),
      sendRaw(port, half, { untilClosed: 100_000 }),
      sendRaw(port, post([chunked], ''), { untilClosed: 100_000, trickle: { bytes: '1\r\nx\r\n', every: 500 } }),
      endWhile(half),
    ])
    expect({ text: headers.text, isClosed: headers.isClosed }).toEqual({ text: '', isClosed: true })
    for (const answer of [stalled, trickling]) {
      expectProblem(answer.text, 408)
      expect(answer.text).toMatch(/^connection: close\r$/im)
      expect(answer.isClosed).toBe(true)
      expect(answer.took).toBeGreaterThan(9_000)
    }
    // Stopped before the ten seconds of a stalled request were over.
    expect(ending.code).toBe(0)
    expectProblem(ending.text, 503)
  }, 120_000)
})

/** Stops another server while a client stalls. */
async function endWhile(stalling: string): Promise<{ code: number | null; text: string }> {
  const other = await serve({ environment: { DATABASE_URL: await createDatabase(), SECRET_KEY: 'k'.repeat(32) } })
  const stalled = sendRaw(Number(new URL(other.url).port), stalling, { untilClosed: 100_000 })
  await Bun.sleep(200)
  // Connections are accepted in their order.
  await fetch(`${other.url}/health`)
  const { code } = await other.stop()
  return { code, text: (await stalled).text }
}

describe('information disclosure', () => {
  test('responses reveal no server name, version or path', async () => {
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

  test('CORS allows only the listed origins', async () => {
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
