import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { METHODS } from 'node:http'
import { sweepExpiredFailures, sweepExpiredSessions } from '../../../src/domain/sessions/sweep.ts'
import { createRouteTable } from '../../../src/http/edge/routeTable.ts'
import { openTestApplication, type TestApplication } from '../../application.ts'

const good = 'a long enough pass phrase'
let application: TestApplication
beforeAll(async () => {
  application = await openTestApplication('PostgreSQL')
  const hash = await Bun.password.hash(good, { algorithm: 'argon2id', memoryCost: 8192, timeCost: 1 })
  await application.sql(`INSERT INTO users (username, hashed_password, full_name, is_active)
    VALUES ('ada', '${hash}', 'Ada', true), ('gone', '${hash}', 'Gone', false), ('broken', 'no hash', 'Broken', true)`)
})
afterAll(() => application.close())

/** The series of a metric with their values: `{outcome="succeeded"}` is one. */
async function seriesOf(name: string): Promise<Map<string, number>> {
  const lines = (await application.metrics()).split('\n').filter((line) => line.startsWith(`${name}{`))
  return new Map(lines.map((line) => [line.slice(name.length, line.lastIndexOf(' ')), Number(line.split(' ').at(-1))]))
}

/** What has risen while `work` was done. */
async function risen(name: string, work: () => Promise<unknown>): Promise<Record<string, number>> {
  const before = await seriesOf(name)
  await work()
  const rises = [...(await seriesOf(name))].map(
    ([labels, value]) => [labels, value - (before.get(labels) ?? 0)] as const,
  )
  return Object.fromEntries(rises.filter(([, rise]) => rise !== 0))
}

let networks = 0
beforeEach(() => {
  networks++
})
function post(path: string, fields: Record<string, string>, headers: Record<string, string> = {}): Promise<Response> {
  const body = new URLSearchParams(fields)
  return application.call(path, { method: 'POST', body, headers, address: `198.51.100.${networks}` })
}
const login = (username: string, password: string) => post('/auth/login', { username, password })

describe('sign-ins are counted by what became of them', () => {
  test.each([
    ['ada', good, 'succeeded'],
    ['ada', 'wrong', 'wrong_password'],
    ['nobody', good, 'unknown_user'],
    ['gone', good, 'inactive_user'],
    ['broken', good, 'unusable_hash'],
  ])('%s with %s: %s', async (username, password, outcome) => {
    expect(await risen('audittrail_logins_total', () => login(username, password))).toEqual({
      [`{outcome="${outcome}"}`]: 1,
    })
  })

  test('those that are put off', async () => {
    for (let count = 0; count < 6; count++) await login('put-off', 'wrong')
    expect(await risen('audittrail_logins_total', () => login('put-off', 'wrong'))).toEqual({
      '{outcome="throttled"}': 1,
    })
  })

  test('those that are too many at once', async () => {
    const { run } = application.deps.hashQueue
    const doors = Promise.withResolvers<void>()
    const crowd = Array.from({ length: 202 }, () => run(() => doors.promise))
    expect(await risen('audittrail_logins_total', () => login('ada', good))).toEqual({ '{outcome="overloaded"}': 1 })
    doors.resolve()
    await Promise.all(crowd)
  })

  test('a form that is none is no attempt', async () => {
    expect(await risen('audittrail_logins_total', () => post('/auth/login', { username: 'ada' }))).toEqual({})
  })
})

test('a hash is counted with its wait and its time, and what is swept is', async () => {
  const countOf = async (name: string) =>
    Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(await application.metrics())?.[1])
  const names = ['audittrail_hash_wait_seconds_count', 'audittrail_hash_duration_seconds_count']
  const before = await Promise.all(names.map(countOf))
  await login('ada', good)
  expect(await Promise.all(names.map(countOf))).toEqual(before.map((count) => count + 1))
  await application.sql(`INSERT INTO audittrail_sessions (id, user_id, created_at, last_used_at, expires_at)
    SELECT gen_random_uuid(), id, now(), now(), now() - interval '1 day' FROM users`)
  const sessions = await countOf('audittrail_sessions_swept_total')
  expect(await sweepExpiredSessions(application.deps, () => false)).toBeGreaterThan(3)
  expect((await countOf('audittrail_sessions_swept_total')) - sessions).toBeGreaterThan(3)
  await login('forgotten', 'wrong')
  application.clock.now += 20 * 60_000
  expect(await sweepExpiredFailures(application.deps, () => false)).toBeGreaterThan(0)
  expect(await countOf('audittrail_login_failures_swept_total')).toBeGreaterThan(0)
})

test('refresh tokens are counted by what became of them', async () => {
  const fields = { username: 'ada', password: good, scope: 'offline_access' }
  const { refresh_token: first } = (await (await post('/auth/login', fields)).json()) as { refresh_token: string }
  const refresh = (token: string) => () => post('/auth/refresh', { refresh_token: token })
  const name = 'audittrail_refreshes_total'
  expect(await risen(name, refresh(first))).toEqual({ '{outcome="succeeded"}': 1 })
  application.clock.now += 11_000
  expect(await risen(name, refresh(first))).toEqual({ '{outcome="replayed"}': 1 })
  expect(await risen(name, refresh(first))).toEqual({ '{outcome="invalid"}': 1 })
  expect(await risen(name, refresh('atr_nonsense'))).toEqual({ '{outcome="invalid"}': 1 })
  const byGrant = () => post('/auth/login', { grant_type: 'refresh_token', refresh_token: first })
  expect(await risen(name, byGrant)).toEqual({ '{outcome="invalid"}': 1 })
})

describe('requests are counted by route, method and status', () => {
  const name = 'audittrail_http_requests_total'

  test.each([
    ['GET', '/health', '{route="/health",method="GET",status="200"}'],
    ['HEAD', '/health', '{route="/health",method="HEAD",status="200"}'],
    ['GET', '/auth/me?token=secret', '{route="/auth/me",method="GET",status="401"}'],
    ['GET', '/auth/me/', '{route="/auth/me",method="GET",status="401"}'],
    ['DELETE', '/auth/me', '{route="/auth/me",method="DELETE",status="405"}'],
    [
      'GET',
      '/users/2f1d9c0a-6f6e-4b0f-9f57-0d4f6a1f8a52/sessions',
      '{route="/users/:id/sessions",method="GET",status="401"}',
    ],
    ['DELETE', '/auth/sessions/whatever', '{route="/auth/sessions/:id",method="DELETE",status="401"}'],
    ['GET', '/nothing/here', '{route="unmatched",method="GET",status="404"}'],
    ['GET', '/', '{route="unmatched",method="GET",status="404"}'],
  ])('%s %s', async (method, path, series) => {
    const request = new Request(`http://localhost/api${path}`, { method })
    expect(await risen(name, () => application.http.handle(request, '192.0.2.1'))).toEqual({ [series]: 1 })
    const took = await risen('audittrail_http_request_duration_seconds_count', () =>
      application.http.handle(request, '192.0.2.1'),
    )
    expect(took).toEqual({ [series.replace(/,status="\d+"/, '')]: 1 })
  })

  test.each(['/api', ''])('every route has its own name, the same for each BASE_PATH (%j)', (basePath) => {
    const names = application.http.routes.routes.map(({ path }) => path.slice('/api'.length))
    expect(names.length).toBeGreaterThan(20)
    const routes = names.map((path) => ({ method: 'GET', path: basePath + path }))
    const { labelOf } = createRouteTable({ routes }, basePath)
    for (const name of names) {
      const path = basePath + name.replaceAll(/:\w+/g, 'x.y-z')
      expect([labelOf(path), labelOf(`${path}/`)]).toEqual([name, name])
      expect(labelOf(`${path}//`)).toBe('unmatched')
    }
  })

  test('ten thousand hostile paths, methods and names add no more than a few series', async () => {
    const countSeries = async () => (await application.metrics()).split('\n').length
    const send = (method: string, path: string, init: RequestInit = {}) =>
      application.http.handle(new Request(`http://localhost${path}`, { ...init, method }), '203.0.113.9')
    const round = async (from: number, to: number) => {
      for (let number = from; number < to; number++) {
        await send('GET', `/api/${'x/'.repeat(number % 50)}${number}`)
        await send('GET', `/api/users/"${number}"/sessions`)
        await send(METHODS[number % METHODS.length] as string, `/api/${number}`)
        const body = new URLSearchParams({ username: `name${number}`, password: `p${number}` })
        await send('POST', '/api/auth/login', { body })
      }
    }
    // Enough for the network's failures to be too many, and for every method that there is.
    await round(0, 50)
    const before = await countSeries()
    await round(50, 2500)
    expect(await countSeries()).toBe(before)
    const text = await application.metrics()
    expect(/name\d|"\d|PROPFIND/.test(text.replaceAll(/(le|status)="[\d.]+"/g, ''))).toBe(false)
    expect([...(await seriesOf(name)).keys()]).toContain('{route="unmatched",method="other",status="404"}')
  }, 120_000)
})

describe('a trace', () => {
  const trace = { trace_id: '4bf92f3577b34da6a3ce929d0e0e4736', span_id: '00f067aa0ba902b7' }
  const traceparent = `00-${trace.trace_id}-${trace.span_id}-01`

  test('that a request is part of is in every line that it causes, and in no other', async () => {
    application.lines.length = 0
    const traced = post('/auth/login', { username: 'ada', password: 'wrong' }, { traceparent })
    const other = post('/auth/login', { username: 'nobody', password: 'wrong' })
    await Promise.all([traced, other])
    const withTrace = application.lines.filter((line) => 'trace_id' in line)
    expect(withTrace.map(({ event }) => event)).toEqual(['login.failed', 'request'])
    for (const line of withTrace) expect(line).toMatchObject(trace)
    expect(withTrace[0]).toMatchObject({ username: 'ada' })
    expect(application.lines).toHaveLength(4)
  })

  test.each([`${traceparent}"`, traceparent.toUpperCase(), `${traceparent}\u00e9`, 'x'.repeat(10_000)])(
    'of which the header is not well-formed is none',
    async (header) => {
      application.lines.length = 0
      await application.call('/health', { headers: { traceparent: header } })
      expect(application.lines.map((line) => [line.event, 'trace_id' in line, 'span_id' in line])).toEqual([
        ['request', false, false],
      ])
    },
  )
})

describe('what /ready says is in the log', () => {
  test('once per change, with the reason, which the answer has not', async () => {
    const readiness = () => application.lines.filter(({ event }) => String(event).startsWith('readiness.'))
    application.lines.length = 0
    const ask = async () => (await application.call('/ready')).status
    expect([await ask(), await ask()]).toEqual([200, 200])
    expect(readiness()).toEqual([])
    await application.sql('ALTER TABLE audittrail_instance RENAME TO away')
    expect([await ask(), await ask(), await ask()]).toEqual([503, 503, 503])
    expect(readiness()).toMatchObject([{ event: 'readiness.lost', level: 'warn', reason: 'database_unavailable' }])
    const answer = await (await application.call('/ready')).text()
    expect(answer).not.toMatch(/42P01|migrat|seed/)
    await application.sql('ALTER TABLE away RENAME TO audittrail_instance')
    expect([await ask(), await ask()]).toEqual([200, 200])
    expect(readiness().map(({ event }) => event)).toEqual(['readiness.lost', 'readiness.regained'])
    await application.sql('CREATE TABLE kept AS SELECT * FROM audittrail_instance')
    await application.sql('DELETE FROM audittrail_instance')
    expect([await ask(), await ask()]).toEqual([503, 503])
    expect(readiness().at(-1)).toMatchObject({ event: 'readiness.lost', reason: 'not_seeded' })
    await application.sql('INSERT INTO audittrail_instance SELECT * FROM kept')
    expect(await ask()).toBe(200)
  })
})

test('with LOG_REQUESTS=errors a request that went well has no line; what happened to an account still has', async () => {
  const quiet = await openTestApplication('PostgreSQL', { logged: 'errors' })
  quiet.lines.length = 0
  await quiet.call('/health')
  await quiet.login('admin', 'wrong')
  expect(quiet.lines.map(({ event }) => event)).toEqual(['login.failed'])
  await quiet.close()
  await quiet.call('/ready')
  expect(quiet.lines.map(({ event }) => event)).toContain('request')
})
