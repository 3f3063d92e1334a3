import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { pageRouteNames } from '../../src/http/pages/pageRoutes.ts'
import { openRoutes } from '../../src/http/routes.ts'
import { openTestApplication, type TestApplication } from '../application.ts'

let application: TestApplication
beforeAll(async () => {
  application = await openTestApplication('PostgreSQL')
})
afterAll(() => application.close())

const form = { 'content-type': 'application/x-www-form-urlencoded' }
const login = (body: string, headers: Record<string, string> = form) =>
  application.call('/auth/login', { method: 'POST', body, headers })

async function problemOf(response: Response) {
  return (await response.json()) as Record<string, unknown>
}

describe('login error', () => {
  test.each([
    ['a missing password', 'username=admin', 'invalid_request'],
    ['a missing username', 'password=changeme', 'invalid_request'],
    ['an empty password', 'username=admin&password=', 'invalid_request'],
    ['an empty username', 'username=&password=changeme', 'invalid_request'],
    ['a repeated field', 'username=admin&username=admin&password=changeme', 'invalid_request'],
    ['a broken escape', 'username=admin&password=%zz', 'invalid_request'],
    [
      'an unsupported grant type',
      'grant_type=client_credentials&username=admin&password=changeme',
      'unsupported_grant_type',
    ],
  ])('returns 400 with an RFC 6749 error code for %s', async (_title, body, error) => {
    const response = await login(body)
    expect(response.status).toBe(400)
    expect(response.headers.get('content-type')).toBe('application/json')
    expect(await problemOf(response)).toMatchObject({ status: 400, error })
  })

  test('names the missing field', async () => {
    expect(await problemOf(await login('username=admin'))).toMatchObject({ errors: [{ field: 'password' }] })
  })

  test('returns 415 for plain text and says how to send the form', async () => {
    const response = await login('username=admin&password=changeme', { 'content-type': 'text/plain' })
    expect(response.status).toBe(415)
    expect((await problemOf(response)).detail).toContain('application/x-www-form-urlencoded')
  })

  test('returns 415 for a Content-Encoding', async () => {
    const response = await login('username=admin&password=changeme', { ...form, 'content-encoding': 'gzip' })
    expect(response.status).toBe(415)
  })

  test('has the OAuth format for a path with a trailing slash too', async () => {
    const body = new URLSearchParams({ username: 'admin', password: 'wrong' })
    const response = await application.call('/auth/login/', { method: 'POST', body })
    expect(response.headers.get('content-type')).toBe('application/json')
    expect(await problemOf(response)).toMatchObject({ status: 401, error: 'invalid_grant' })
  })

  test('returns 413 for more than 64 KB', async () => {
    expect((await login(`username=admin&password=${'x'.repeat(70_000)}`)).status).toBe(413)
  })

  test('never echoes request values', async () => {
    const secret = 'n0t-to-be-seen'
    const bodies = [
      `username=${secret}`,
      `username=${secret}&password=${secret}`,
      `${secret}=%zz`,
      `grant_type=${secret}&username=a&password=b`,
    ]
    for (const body of bodies) {
      const response = await login(body)
      expect(await response.text()).not.toContain(secret)
      expect(JSON.stringify([...response.headers])).not.toContain(secret)
    }
    const elsewhere = await application.call(`/${secret}?${secret}`, { headers: { authorization: `Bearer ${secret}` } })
    expect(await elsewhere.text()).not.toContain(secret)
  })
})

describe('response', () => {
  test('has a new request id, or the incoming one if it is well-formed', async () => {
    const first = (await application.call('/health')).headers.get('x-request-id')
    const second = (await application.call('/health')).headers.get('x-request-id')
    expect(first).toMatch(/^[0-9a-f-]{36}$/)
    expect(second).not.toBe(first)
    const kept = await application.call('/health', { headers: { 'x-request-id': 'abc-123' } })
    expect(kept.headers.get('x-request-id')).toBe('abc-123')
    const replaced = await application.call('/health', { headers: { 'x-request-id': 'a b"c' } })
    expect(replaced.headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/)
  })

  test('has nosniff', async () => {
    for (const path of ['/health', '/nowhere', '/auth/me']) {
      expect((await application.call(path)).headers.get('x-content-type-options')).toBe('nosniff')
    }
  })

  test('for an error has the members of RFC 9457 and the request id of the header', async () => {
    const response = await application.call('/nowhere')
    expect(response.status).toBe(404)
    expect(response.headers.get('content-type')).toBe('application/problem+json')
    expect(await problemOf(response)).toEqual({
      type: 'urn:audittrail:problem:not_found',
      title: 'Not Found',
      status: 404,
      detail: 'This path does not exist.',
      request_id: response.headers.get('x-request-id'),
    })
  })

  test('has one log line, without the query and credentials', async () => {
    await application.call('/auth/me?token=s3cret-in-query', { headers: { authorization: 'Bearer s3cret-in-header' } })
    const line = application.lines.at(-1)
    expect(line).toMatchObject({
      event: 'request',
      method: 'GET',
      path: '/api/auth/me',
      status: 401,
      address: '192.0.2.7',
    })
    expect(JSON.stringify(application.lines)).not.toContain('s3cret')
    expect(JSON.stringify(application.lines)).not.toContain('changeme')
  })
})

describe('method', () => {
  test('that the path does not support returns 405 with Allow', async () => {
    const wrong = await application.call('/auth/login')
    expect(wrong.status).toBe(405)
    expect(wrong.headers.get('allow')).toBe('POST')
    const other = await application.call('/auth/me', { method: 'DELETE' })
    expect(other.status).toBe(405)
    expect(other.headers.get('allow')).toBe('GET, HEAD')
  })

  test('HEAD returns no body', async () => {
    const response = await application.call('/health', { method: 'HEAD' })
    expect(response.status).toBe(200)
    expect(await response.text()).toBe('')
  })
})

describe('locked by default', () => {
  test('every route requires a token unless it is declared open', async () => {
    const whole = await openTestApplication('PostgreSQL', { issuer: 'https://auth.example.com' })
    const answers = await Promise.all(
      whole.http.routes.routes.map(async ({ method, path }) => {
        const own = path.slice('/api'.length)
        const response = await whole.call(own.replaceAll(/:\w+/g, 'x'), { method })
        return {
          route: `${method} ${own}`,
          isLocked: response.status === 401 && response.headers.has('www-authenticate'),
        }
      }),
    )
    await whole.close()
    expect(
      answers
        .filter(({ isLocked }) => !isLocked)
        .map(({ route }) => route)
        .sort(),
    ).toEqual([...Object.values(openRoutes).flat(), ...pageRouteNames].sort())
  })
})

describe('empty BASE_PATH', () => {
  test('serves the same routes at the root', async () => {
    const atRoot = await openTestApplication('PostgreSQL', { basePath: '' })
    expect(await (await atRoot.call('/health')).text()).toBe('{"status":"ok"}')
    expect((await atRoot.me(await atRoot.accessToken())).status).toBe(200)
    expect((await atRoot.login('admin', 'wrong')).headers.get('cache-control')).toBe('no-store')
    expect((await atRoot.call('/api/health')).status).toBe(404)
    await atRoot.close()
  })
})

describe('failing database', () => {
  test('returns 503 with Retry-After and no internals', async () => {
    const broken = await openTestApplication('PostgreSQL')
    const token = await broken.accessToken()
    await broken.sql('DROP TABLE audittrail_sessions')
    for (const response of [await broken.me(token), await broken.login()]) {
      expect(response.status).toBe(503)
      expect(response.headers.get('retry-after')).toBe('2')
      expect(await response.text()).not.toMatch(/audittrail_sessions|SELECT|INSERT|42P01/i)
    }
    expect(JSON.stringify(broken.lines)).not.toMatch(/SELECT|INSERT|hashed_password/i)
    await broken.close()
  })

  test('returns 500 for an unexpected error and logs only the SQLSTATE', async () => {
    const broken = await openTestApplication('PostgreSQL')
    await broken.sql('ALTER TABLE audittrail_sessions ADD CONSTRAINT never CHECK (false) NOT VALID')
    const response = await broken.login()
    expect(response.status).toBe(500)
    expect(await response.text()).not.toMatch(/never|23514|session/i)
    const line = broken.lines.find(({ event }) => event === 'request.failed')
    expect(line).toMatchObject({ message: 'The database returned an error (SQLSTATE 23514).' })
    expect(JSON.stringify(broken.lines)).not.toMatch(/insert into|user_agent/i)
    await broken.close()
  })
})
