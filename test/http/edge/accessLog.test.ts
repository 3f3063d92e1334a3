import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { createHttp, type Http } from '../../../src/http/server.ts'
import { createLog, type LogFormat } from '../../../src/telemetry/log.ts'
import { openTestApplication, type TestApplication } from '../../application.ts'

// Usernames as an adopted database may have them.
const hostileNames = [
  'x","address":"198.51.100.66","y":"',
  'a\n{"level":"warn","event":"login.failed"}',
  'b\r\n\u001b[2K\u001b[1A',
  '\u202egnp.exe',
  'c address=198.51.100.66',
  '\u2028\u2029\u0085\u009b31m',
]

let application: TestApplication
const written: Record<LogFormat, string[]> = { json: [], pretty: [] }
let https: Record<LogFormat, Http>
beforeAll(async () => {
  application = await openTestApplication('PostgreSQL')
  https = { json: httpWith('json'), pretty: httpWith('pretty') }
  for (const name of hostileNames) {
    await application.sql(`INSERT INTO users (username, hashed_password, full_name)
      SELECT convert_from(decode('${Buffer.from(name).toString('hex')}', 'hex'), 'UTF8'), hashed_password, 'Hostile' FROM users WHERE username = 'admin'`)
  }
})
afterAll(() => application.close())

function httpWith(format: LogFormat): Http {
  const log = createLog({
    level: 'debug',
    format,
    now: application.deps.clock,
    write: (line) => written[format].push(line),
  })
  const { secretKey } = application
  const settings = { secretKey, issuer: 'audittrail', audience: 'audittrail', basePath: '/api', docs: undefined }
  return createHttp(
    { ...application.deps, log },
    { ...settings, trustedProxies: ['127.0.0.1'], corsOrigins: [] },
    application.deps.clock,
  )
}

/** Returns the log lines of a request. */
async function linesOf(format: LogFormat, request: Request): Promise<string[]> {
  written[format].length = 0
  await https[format].handle(request, '127.0.0.1')
  return [...written[format]]
}

function expectPlainLine(line: string): void {
  expect(line).toEndWith('\n')
  expect(line.slice(0, -1)).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Surrogate}]/u)
}

function login(username: string, password: string, headers: Record<string, string> = {}): Request {
  const body = new URLSearchParams({ username, password })
  return new Request('http://localhost/api/auth/login', { method: 'POST', body, headers })
}

/** A new network for each, so that the throttle does not apply. */
let addresses = 0
function nextAddress(): string {
  addresses++
  return `203.0.${addresses >> 8}.${addresses & 255}`
}

const formats = ['json', 'pretty'] as const
const marker = 'sw0rdfish'
/** Text from a client, with a marker that must not appear in the log. */
const hostileText = fc
  .tuple(fc.string({ unit: 'binary', maxLength: 30 }), fc.string({ unit: 'binary', maxLength: 30 }))
  .map(([before, after]) => `${before}${marker}${after}`.toWellFormed().replaceAll('\0', ''))
const headerText = hostileText.map((text) => text.replace(/[^\t\x20-\x7e\x80-\xff]/g, '').trim())

describe.each(formats)('%s log', (format) => {
  test('has two lines for a failed login, without request values', async () => {
    await fc.assert(
      fc.asyncProperty(hostileText, hostileText, headerText, headerText, async (name, password, agent, id) => {
        const address = nextAddress()
        const headers = {
          'user-agent': agent,
          'x-request-id': `"${id}`,
          'x-forwarded-for': address,
          referer: 'http://x',
        }
        const lines = await linesOf(format, login(name, password, headers))
        expect(lines).toHaveLength(2)
        for (const line of lines) {
          expectPlainLine(line)
          expect(line).not.toContain(marker)
          expect(line).toContain(address)
        }
        expect(lines[0]).toContain('login.failed')
        expect(lines[1]).toContain('request')
      }),
      { numRuns: 60 },
    )
  }, 60_000)

  test('has one line for any request, without the query and likely secrets', async () => {
    const secret = fc.constantFrom(
      `eyJ${marker}`,
      `atr_${marker}`,
      `${marker}${'x'.repeat(40)}`,
      `?a=${marker}`,
      `%3F${marker}`,
      `;a=${marker}`,
    )
    await fc.assert(
      fc.asyncProperty(fc.webPath(), secret, fc.webQueryParameters(), headerText, async (path, part, query, agent) => {
        const url = `http://localhost${path}/${part}?${query}&token=${marker}#${marker}`
        const lines = await linesOf(
          format,
          new Request(url, { headers: { 'user-agent': agent, cookie: marker, authorization: marker } }),
        )
        expect(lines).toHaveLength(1)
        expectPlainLine(lines[0] ?? '')
        expect(lines[0]).not.toContain(marker)
      }),
      { numRuns: 300 },
    )
  })

  test.each(hostileNames.map((name, at) => [at, name] as const))(
    'has no forged line or field from hostile username %i',
    async (_at, name) => {
      const lines = await linesOf(format, login(name, 'wrong', { 'x-forwarded-for': '203.0.113.9' }))
      const [failed = '', request = ''] = lines
      expect(lines).toHaveLength(2)
      expectPlainLine(failed)
      expectPlainLine(request)
      if (format === 'pretty') expect(failed).toContain(' reason=wrong_password address=203.0.113.9\n')
      else
        expect(JSON.parse(failed)).toEqual({
          time: expect.any(String),
          level: 'warn',
          event: 'login.failed',
          username: name,
          reason: 'wrong_password',
          address: '203.0.113.9',
        })
    },
  )
})

describe('JSON log line', () => {
  test('starts with time, level and event, and ends with the address for a failed login', async () => {
    for (const name of ['admin', 'nobody']) {
      const [failed = ''] = await linesOf('json', login(name, 'wrong', { 'x-forwarded-for': '2001:db8::7' }))
      expect(failed).toMatch(
        /^\{"time":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z","level":"warn","event":"login\.failed",("username":"admin",)?"reason":"[a-z_]+","address":"2001:db8::7"\}\n$/,
      )
      expect(failed.includes('username')).toBe(name === 'admin')
    }
  })

  test('has the incoming request id only if it is well-formed', async () => {
    const ids = ['good-id.1', 'two words', 'a"b', 'x'.repeat(129), 'é']
    const logged: unknown[] = []
    for (const id of ids) {
      const [line = ''] = await linesOf(
        'json',
        new Request('http://localhost/api/health', { headers: { 'x-request-id': id } }),
      )
      logged.push(JSON.parse(line).request_id)
    }
    expect(logged).toHaveLength(5)
    expect(logged.filter((id) => ids.includes(id as string))).toEqual(['good-id.1'])
  })
})
