import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { scopes } from '../../src/domain/apiKeys/apiKeys.ts'
import { openTestApplication, type TestApplication } from '../application.ts'
import { accessToken, me, type Server, serve } from '../binary/binary.ts'
import { documentOf, findOperation, type OpenApiDocument } from '../document.ts'
import { createDatabase } from '../postgresql.ts'
import { marker, passwordMarker, rightPassword } from './fuzzBodies.ts'
import { type Attempt, attemptAt, bytesOf, type Operation, operationsOf } from './fuzzInputs.ts'
import { sendRaw } from './rawSocket.ts'

/** Matches SQL, a stack trace, one of our file names or a stored hash. */
const insides =
  /\b(SELECT|INSERT INTO|DELETE FROM|UPDATE \w+ SET|SQLSTATE|audittrail_\w+|hashed_password|postgres\w*|drizzle)\b|\bat (?:async )?\S+(?: \(\S+)?:\d+:\d+|\.(ts|js):\d+|node_modules|\/\$bunfs|\/tmp\/|\$argon2/i

let application: TestApplication
let document: OpenApiDocument
let operations: readonly Operation[]
beforeAll(async () => {
  application = await openTestApplication('PostgreSQL')
  document = (await documentOf(application.http, '/api')) as OpenApiDocument
  operations = operationsOf(document)
  await application.sql('UPDATE users SET must_change_password = false')
  await makeUser('fuzzed-administrator', ['admin'])
  await makeUser('fuzzed-user', [])
})
afterAll(() => application.close())

let root: Promise<string> | undefined
const rootToken = () => {
  root ??= application.accessToken()
  return root
}
const target = () => makeUser(`target-${crypto.randomUUID().slice(0, 8)}`, [])

async function makeUser(username: string, roles: readonly string[]): Promise<string> {
  const body = { username, full_name: username, password: rightPassword, roles, must_change_password: false }
  const headers = { authorization: `Bearer ${await rootToken()}`, 'content-type': 'application/json' }
  const made = await application.call('/users', { method: 'POST', headers, body: JSON.stringify(body) })
  return ((await made.json()) as { id: string }).id
}

const identities = {
  anonymous: async () => undefined,
  'a signed-in user': () => application.accessToken('fuzzed-user', rightPassword),
  'an administrator': () => application.accessToken('fuzzed-administrator', rightPassword),
  'a service': () => application.apiKey({ scopes, roles: ['staff'] }),
}

describe('fuzzing every documented operation', () => {
  test.each(Object.keys(identities) as (keyof typeof identities)[])(
    'as %s: every response is documented and reveals nothing',
    async (who) => {
      expect(operations.length).toBeGreaterThan(15)
      for (const operation of operations) {
        let token = await identities[who]()
        const ids = operation.path.includes('{') ? [await target(), await target()] : [crypto.randomUUID()]
        const attempts = fc.asyncProperty(attemptAt(operation, ids), async (attempt) => {
          const response = await send(attempt, token)
          await expectHarmless(attempt, response)
          // A request may have ended its own session: sign in again.
          if (/\/(logout|revoke)$/.test(operation.path) && response.ok) token = await identities[who]()
        })
        await fc.assert(attempts, { numRuns: 40 })
      }
      expect((await application.me(await rootToken())).status).toBe(200)
    },
    60_000,
  )

  test('writes no secret to the log', () => {
    expect(application.lines.length).toBeGreaterThan(1000)
    for (const line of application.lines) {
      expect(line.event).not.toBe('request.failed')
      const facts = JSON.stringify(line)
      // Usernames and paths may be logged. Passwords, tokens and queries may not.
      expect(facts).not.toContain(passwordMarker)
      expect(facts).not.toContain(application.secretKey)
      expect(facts).not.toContain('eyJ')
      expect(JSON.stringify({ ...line, username: '', path: '' })).not.toMatch(insides)
      expect(JSON.stringify({ ...line, username: '', path: '' })).not.toContain(marker)
    }
  })
})

function send({ method, target, headers, body }: Attempt, token: string | undefined): Promise<Response> {
  const all = new Headers(headers.map(([name, value]): [string, string] => [name, value]))
  if (token) all.set('authorization', `Bearer ${token}`)
  const request = new Request(`http://localhost${target}`, {
    method,
    headers: all,
    ...(body ? { body: new Uint8Array(body) } : {}),
  })
  return application.http.handle(request, '192.0.2.7')
}

async function expectHarmless({ method, target }: Attempt, response: Response): Promise<void> {
  const text = await response.text()
  expect(response.status).toBeLessThan(500)
  expect(response.headers.get('x-request-id')).toMatch(/^[A-Za-z0-9._-]{1,128}$/)
  expect(response.headers.get('x-content-type-options')).toBe('nosniff')
  expect(text).not.toMatch(insides)
  expect(text).not.toContain(application.secretKey)
  if (response.status >= 400) {
    expect(text).not.toContain(marker)
    expect(text).not.toContain(passwordMarker)
    if (method !== 'HEAD') expect(JSON.parse(text)).toMatchObject({ status: response.status })
  }
  // Dots may resolve to another operation, to the page at the root or to none. HEAD equals GET, a
  // trailing slash is ignored, and one path handles every method like GET.
  // The document leaves out the route of tiles with longer paths.
  const path = new URL(`http://localhost${target}`).pathname
    .replace(/^(\/api\/audit\/log\/tile\/).*/, '$10/000')
    .replace(/\/$/, '')
  const operation = findOperation(document, method === 'HEAD' || path === '/api/auth/verify' ? 'GET' : method, path)
  const ofPage = path === '' || path === '/api' ? [200] : []
  const legal = operation ? Object.keys(operation.responses).map(Number) : [...ofPage, 204, 400, 404, 405]
  expect(legal).toContain(response.status)
}

describe('the compiled binary', () => {
  let server: Server
  beforeAll(async () => {
    const environment = {
      DATABASE_URL: await createDatabase(),
      SECRET_KEY: 'k'.repeat(32),
      ADMIN_PASSWORD: rightPassword,
      PASSWORD_MEMORY_KIB: '8192',
      PASSWORD_TIME_COST: '1',
    }
    server = await serve({ environment })
  })
  afterAll(() => server.stop())

  test('survives broken bytes, never responds with 500, and keeps serving', async () => {
    const port = Number(new URL(server.url).port)
    const any = fc.oneof(
      ...operations.map((operation) => bytesOf(attemptAt(operation, ['2f1d9c0a-6f6e-4b0f-9f57-0d4f6a1f8a52']))),
    )
    const batches = fc.asyncProperty(fc.array(any, { minLength: 16, maxLength: 16 }), async (batch) => {
      const answers = await Promise.all(batch.map((bytes) => sendRaw(port, bytes, { untilClosed: 400 })))
      for (const { text, statuses } of answers) {
        expect(statuses.every((status) => status < 500 || status === 505)).toBe(true)
        expect(text).not.toMatch(insides)
      }
    })
    await fc.assert(batches, { numRuns: 15, endOnFailure: true })
    const token = await accessToken(server.url, 'admin', rightPassword)
    expect((await me(server.url, token)).status).toBe(200)
    expect(server.output.stdout).not.toContain('request.failed')
    expect(server.output.stdout).not.toContain('stray_error')
    expect(server.output.stdout).not.toContain(passwordMarker)
    for (const line of server.output.stdout.trim().split('\n')) expect(JSON.parse(line)).toHaveProperty('event')
  }, 60_000)
})
