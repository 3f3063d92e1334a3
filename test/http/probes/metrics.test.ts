import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { METHODS } from 'node:http'
import { sweepExpiredFailures, sweepExpiredSessions } from '../../../src/domain/sessions/sweep.ts'
import { createRouteTable } from '../../../src/http/edge/routeTable.ts'
import { hashOf, openTestApplication, type TestApplication } from '../../application.ts'

const good = 'a long enough pass phrase'
let application: TestApplication
beforeAll(async () => {
  application = await openTestApplication('PostgreSQL')
  const hash = await hashOf(good)
  await application.sql(`INSERT INTO users (username, hashed_password, full_name, is_active)
    VALUES ('ada', '${hash}', 'Ada', true), ('gone', '${hash}', 'Gone', false), ('broken', 'no hash', 'Broken', true)`)
})
afterAll(() => application.close())

/** Returns the series of a metric by their labels, such as `{outcome="succeeded"}`. */
async function seriesOf(name: string): Promise<Map<string, number>> {
  const lines = (await application.metrics()).split('\n').filter((line) => line.startsWith(`${name}{`))
  return new Map(lines.map((line) => [line.slice(name.length, line.lastIndexOf(' ')), Number(line.split(' ').at(-1))]))
}

/** Returns by how much the series of a metric rise during `work`. */
async function increase(name: string, work: () => Promise<unknown>): Promise<Record<string, number>> {
  const before = await seriesOf(name)
  await work()
  const increases = [...(await seriesOf(name))].map(
    ([labels, value]) => [labels, value - (before.get(labels) ?? 0)] as const,
  )
  return Object.fromEntries(increases.filter(([, difference]) => difference !== 0))
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

describe('login metrics', () => {
  test.each([
    ['ada', good, 'succeeded'],
    ['ada', 'wrong', 'wrong_password'],
    ['nobody', good, 'unknown_user'],
    ['gone', good, 'inactive_user'],
    ['broken', good, 'unusable_hash'],
  ])('count a login of %s with %s as %s', async (username, password, outcome) => {
    expect(await increase('audittrail_logins_total', () => login(username, password))).toEqual({
      [`{outcome="${outcome}"}`]: 1,
    })
  })

  test('count a throttled login', async () => {
    for (let count = 0; count < 6; count++) await login('throttled', 'wrong')
    expect(await increase('audittrail_logins_total', () => login('throttled', 'wrong'))).toEqual({
      '{outcome="throttled"}': 1,
    })
  })

  test('count a login beyond the hash queue as overloaded', async () => {
    const { run } = application.deps.hashQueue
    const release = Promise.withResolvers<void>()
    const queued = Array.from({ length: 202 }, () => run(() => release.promise))
    expect(await increase('audittrail_logins_total', () => login('ada', good))).toEqual({ '{outcome="overloaded"}': 1 })
    release.resolve()
    await Promise.all(queued)
  })

  test('do not count a malformed form', async () => {
    expect(await increase('audittrail_logins_total', () => post('/auth/login', { username: 'ada' }))).toEqual({})
  })
})

test('metrics: count hashes with wait and duration, and swept rows', async () => {
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

test('metrics: count refreshes by outcome', async () => {
  const fields = { username: 'ada', password: good, scope: 'offline_access' }
  const { refresh_token: first } = (await (await post('/auth/login', fields)).json()) as { refresh_token: string }
  const refresh = (token: string) => () => post('/auth/refresh', { refresh_token: token })
  const name = 'audittrail_refreshes_total'
  expect(await increase(name, refresh(first))).toEqual({ '{outcome="succeeded"}': 1 })
  application.clock.now += 11_000
  expect(await increase(name, refresh(first))).toEqual({ '{outcome="replayed"}': 1 })
  expect(await increase(name, refresh(first))).toEqual({ '{outcome="invalid"}': 1 })
  expect(await increase(name, refresh('atr_nonsense'))).toEqual({ '{outcome="invalid"}': 1 })
  const byGrant = () => post('/auth/login', { grant_type: 'refresh_token', refresh_token: first })
  expect(await increase(name, byGrant)).toEqual({ '{outcome="invalid"}': 1 })
})

describe('request metrics', () => {
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
    ['GET', '/', '{route="/",method="GET",status="200"}'],
  ])('label %s %s by route, method and status', async (method, path, series) => {
    const request = new Request(`http://localhost/api${path}`, { method })
    expect(await increase(name, () => application.http.handle(request, '192.0.2.1'))).toEqual({ [series]: 1 })
    const durations = await increase('audittrail_http_request_duration_seconds_count', () =>
      application.http.handle(request, '192.0.2.1'),
    )
    expect(durations).toEqual({ [series.replace(/,status="\d+"/, '')]: 1 })
  })

  test.each(['/api', ''])('label each route by its path without BASE_PATH %j', (basePath) => {
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

  test('have a bounded number of series for 10,000 hostile paths, methods and usernames', async () => {
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
    // Enough to be throttled and to use every method.
    await round(0, 50)
    const before = await countSeries()
    await round(50, 2500)
    expect(await countSeries()).toBe(before)
    const text = await application.metrics()
    expect(/name\d|"\d|PROPFIND/.test(text.replaceAll(/(le|status)="[\d.]+"/g, ''))).toBe(false)
    expect([...(await seriesOf(name)).keys()]).toContain('{route="unmatched",method="other",status="404"}')
  }, 120_000)
})

describe('trace context', () => {
  const trace = { trace_id: '4bf92f3577b34da6a3ce929d0e0e4736', span_id: '00f067aa0ba902b7' }
  const traceparent = `00-${trace.trace_id}-${trace.span_id}-01`

  test('is in every log line of its request and in no other', async () => {
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
    'is ignored if the header is malformed',
    async (header) => {
      application.lines.length = 0
      await application.call('/health', { headers: { traceparent: header } })
      expect(application.lines.map((line) => [line.event, 'trace_id' in line, 'span_id' in line])).toEqual([
        ['request', false, false],
      ])
    },
  )
})

describe('readiness', () => {
  test('is logged once per change, with a reason that the response omits', async () => {
    const readiness = () => application.lines.filter(({ event }) => String(event).startsWith('readiness.'))
    application.lines.length = 0
    const readyStatus = async () => (await application.call('/ready')).status
    expect([await readyStatus(), await readyStatus()]).toEqual([200, 200])
    expect(readiness()).toEqual([])
    await application.sql('ALTER TABLE audittrail_instance RENAME TO away')
    expect([await readyStatus(), await readyStatus(), await readyStatus()]).toEqual([503, 503, 503])
    expect(readiness()).toMatchObject([{ event: 'readiness.lost', level: 'warn', reason: 'database_unavailable' }])
    const body = await (await application.call('/ready')).text()
    expect(body).not.toMatch(/42P01|migrat|seed/)
    await application.sql('ALTER TABLE away RENAME TO audittrail_instance')
    expect([await readyStatus(), await readyStatus()]).toEqual([200, 200])
    expect(readiness().map(({ event }) => event)).toEqual(['readiness.lost', 'readiness.regained'])
    await application.sql('CREATE TABLE kept AS SELECT * FROM audittrail_instance')
    await application.sql('DELETE FROM audittrail_instance')
    expect([await readyStatus(), await readyStatus()]).toEqual([503, 503])
    expect(readiness().at(-1)).toMatchObject({ event: 'readiness.lost', reason: 'not_seeded' })
    await application.sql('INSERT INTO audittrail_instance SELECT * FROM kept')
    expect(await readyStatus()).toBe(200)
  })
})

test('LOG_REQUESTS=errors: omits successful requests but keeps account events', async () => {
  const quiet = await openTestApplication('PostgreSQL', { logged: 'errors' })
  quiet.lines.length = 0
  await quiet.call('/health')
  await quiet.login('admin', 'wrong')
  expect(quiet.lines.map(({ event }) => event)).toEqual(['login.failed'])
  await quiet.close()
  await quiet.call('/ready')
  expect(quiet.lines.map(({ event }) => event)).toContain('request')
})
