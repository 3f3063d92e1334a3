import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { openTestApplication, type TestApplication } from '../../application.ts'

let application: TestApplication
let token: string

const path = '/auth/verify'

beforeAll(async () => {
  application = await openTestApplication('PostgreSQL')
  await application.sql(`UPDATE users SET must_change_password = false, roles = '{staff,team-1}'`)
  token = await application.accessToken()
})
afterAll(() => application.close())

describe('GET /auth/verify', () => {
  const anyMethod = fc.constantFrom('GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND', 'QUERY')
  const anyQuery = fc.oneof(
    fc.constantFrom('', '?', '?role=staff', '?role=admin', '?role=%', '?role=%ff', '?%00', '?role[]=staff', '??', '?#'),
    fc.string({ unit: fc.constantFrom(...'role=staff&%0f;?+,/[]'), maxLength: 40 }).map((text) => `?${text}`),
  )
  const anyHeaders = fc.record(
    {
      host: fc.constantFrom('localhost', 'a/b', 'a/api/auth/verify?role=staff#', '', '[::1]:80', 'a b', 'é', 'a@b'),
      'content-type': fc.constantFrom('application/json', 'multipart/form-data', 'x', ''),
      'content-encoding': fc.constantFrom('gzip', 'x'),
      'content-length': fc.constantFrom('70000', '999999999', '-1', 'x'),
      origin: fc.constantFrom('https://evil.example', 'null', 'x'),
      'access-control-request-method': fc.constantFrom('GET', 'x'),
      'x-forwarded-for': fc.constantFrom('1.2.3.4', 'x,,', ''),
      'x-request-id': fc.constantFrom('a', 'a b', ''),
      cookie: fc.constantFrom('{"a":1}', 'audittrail_device=x', '%zz'),
      'x-auth-user': fc.constant('admin'),
      'x-original-uri': fc.constant('/api/health'),
      range: fc.constant('bytes=0-1'),
      'if-none-match': fc.constant('*'),
      expect: fc.constant('100-continue'),
    },
    { requiredKeys: [] },
  )

  test('returns 204 or 403 with a token and 401 without one, for any request', async () => {
    await fc.assert(
      fc.asyncProperty(
        anyMethod,
        anyQuery,
        anyHeaders,
        fc.boolean(),
        fc.boolean(),
        async (method, query, fields, isSignedIn, hasSlash) => {
          const headers = new Headers()
          for (const [name, value] of Object.entries(fields)) headers.set(name, value)
          if (isSignedIn) headers.set('authorization', `Bearer ${token}`)
          const hasBody = !['GET', 'HEAD'].includes(method)
          const request = new Request(`http://localhost/api${path}${hasSlash ? '/' : ''}${query}`, {
            method,
            headers,
            ...(hasBody ? { body: 'x'.repeat(100) } : {}),
          })
          const response = await application.http.handle(request, '192.0.2.7')
          expect(isSignedIn ? [204, 403] : [401]).toContain(response.status)
          if (response.status === 204) expect(response.headers.get('x-auth-user')).toBe('admin')
          expect(response.headers.get('cache-control')).toBe('no-store')
        },
      ),
      { numRuns: 1000 },
    )
  })

  test('returns 503 with Retry-After while the database fails', async () => {
    const broken = await openTestApplication('PostgreSQL')
    await broken.sql('UPDATE users SET must_change_password = false')
    const headers = { authorization: `Bearer ${await broken.accessToken()}` }
    await broken.sql('ALTER TABLE audittrail_sessions RENAME TO gone')
    const failed = await broken.call(path, { headers })
    await broken.deps.database.close()
    const closed = await broken.call(`${path}?role=admin`, { headers })
    for (const response of [failed, closed])
      expect([response.status, response.headers.has('retry-after')]).toEqual([503, true])
    expect((await broken.call(path)).status).toBe(401)
  })
})
