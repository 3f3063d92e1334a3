import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { openTestApplication, type TestApplication } from '../../application.ts'
import { serve } from '../../binary/binary.ts'
import { documentOf } from '../../document.ts'
import { createDatabase } from '../../postgresql.ts'

let application: TestApplication
let admin: string
let quarantined: string
let plain: string

const verdicts = [204, 401, 403, 503]
const path = '/auth/verify'

beforeAll(async () => {
  application = await openTestApplication('PostgreSQL')
  quarantined = await application.accessToken()
  await application.sql('UPDATE users SET must_change_password = false')
  admin = await application.accessToken()
  await copyUser('ada', "'{staff,team-1}'")
  plain = await application.accessToken('ada')
})
afterAll(() => application.close())

/** A user with the administrator's password, by SQL, as another program may have made it. */
async function copyUser(username: string, roles = "'{}'"): Promise<void> {
  const name = username.replaceAll("'", "''")
  await application.sql(`INSERT INTO users (username, hashed_password, full_name, roles)
    SELECT '${name}', hashed_password, 'Someone', ${roles}::text[] FROM users WHERE username = 'admin'`)
}

const bearer = (token: string) => ({ authorization: `Bearer ${token}` })
const verify = (query: string, token: string | undefined, init: RequestInit = {}) =>
  application.call(path + query, { ...init, headers: { ...init.headers, ...(token ? bearer(token) : {}) } })

describe('GET /auth/verify', () => {
  test('says who it is, in headers, and nothing in a body', async () => {
    const response = await verify('', plain)
    const { id } = (await (await application.me(plain)).json()) as { id: string }
    const [session] = await application.sql(
      `SELECT s.id FROM audittrail_sessions s JOIN users u ON u.id = s.user_id WHERE u.username = 'ada'`,
    )
    expect(response.status).toBe(204)
    expect(await response.text()).toBe('')
    expect(response.headers.toJSON()).toMatchObject({
      'x-auth-user': 'ada',
      'x-auth-user-id': id,
      'x-auth-roles': 'staff,team-1',
      'x-auth-session': String(session?.id),
      'cache-control': 'no-store',
    })
  })

  test('is 401 with WWW-Authenticate for no token, a bad one, and two', async () => {
    for (const authorization of [undefined, 'Bearer x.y.z', `Bearer ${plain}, Bearer ${plain}`, `Basic ${plain}`, '']) {
      const response = await application.call(path, {
        headers: authorization === undefined ? {} : { authorization },
      })
      expect([response.status, response.headers.get('www-authenticate')]).toEqual([401, 'Bearer'])
      expect(response.headers.get('cache-control')).toBe('no-store')
      expect(response.headers.get('x-auth-user')).toBeNull()
    }
  })

  test.each([
    ['', 204],
    ['?', 204],
    ['?role=staff', 204],
    ['?role=admin&role=staff', 204],
    ['?role=%73taff', 204],
    ['?role=admin', 403],
    ['?role=staf', 403],
    ['?role=', 403],
    ['?role', 403],
    ['?role=staff&role=', 403],
    ['?role=Staff', 403],
    ['?role=staff,admin', 403],
    ['?role=staff%00', 403],
    ['?role=staff%0d%0aX-Auth-User:%20admin', 403],
    ['?role=%zz', 403],
    ['?role=staff&%ff', 403],
    ['?roles=admin', 403],
    ['?role=staff&x=1', 403],
    ['?&', 403],
    [`?role=${'a'.repeat(33)}`, 403],
    [`?${'role=staff&'.repeat(33)}`, 403],
  ])('with %p for one with the roles staff and team-1 is %p', async (query, status) => {
    const response = await verify(query, plain)
    expect(response.status).toBe(status)
    expect(response.headers.has('x-auth-user')).toBe(status === 204)
  })

  test('goes by the roles of this moment, not by those in the token', async () => {
    await copyUser('mover', "'{staff}'")
    const token = await application.accessToken('mover')
    expect((await verify('?role=staff', token)).status).toBe(204)
    await application.sql(`UPDATE users SET roles = '{}' WHERE username = 'mover'`)
    expect((await verify('?role=staff', token)).status).toBe(403)
    expect((await verify('', token)).headers.get('x-auth-roles')).toBe('')
    await application.sql(`UPDATE users SET is_active = false WHERE username = 'mover'`)
    expect((await verify('', token)).status).toBe(401)
  })

  test('is 403 for whoever must change the password, and for the token of one who had to', async () => {
    expect((await verify('', quarantined)).status).toBe(403)
    await application.sql(`UPDATE users SET must_change_password = true WHERE username = 'admin'`)
    for (const token of [admin, quarantined]) {
      const response = await verify('?role=admin', token)
      expect(response.status).toBe(403)
      expect(await response.json()).toMatchObject({ type: 'urn:audittrail:problem:password_change_required' })
    }
    await application.sql(`UPDATE users SET must_change_password = false WHERE username = 'admin'`)
    expect((await verify('?role=admin', admin)).status).toBe(204)
  })

  test('has 204, 401, 403 and 503 in the document, and nothing else', async () => {
    const document = await documentOf(application.http, '/api')
    expect(Object.keys(document?.paths['/api/auth/verify']?.get?.responses ?? {})).toEqual(verdicts.map(String))
  })

  test('hands on every allowed username as it is', async () => {
    const character = fc.constantFrom(...'ABCXYZabcxyz0189._@+-')
    const names = fc.string({ unit: character, minLength: 1, maxLength: 50 })
    const seen = new Set(['admin', 'ada', 'mover'])
    await fc.assert(
      fc.asyncProperty(names, async (name) => {
        if (seen.has(name.toLowerCase())) return
        seen.add(name.toLowerCase())
        await copyUser(name)
        const response = await verify('', await application.accessToken(name))
        expect(response.headers.get('x-auth-user')).toBe(name)
      }),
      { numRuns: 40 },
    )
  })

  test('hands on whatever an adopted database has for a name, percent-encoded and back again the same', async () => {
    const names = [
      'Zoë Müller',
      'a%41',
      'x\r\nX-Auth-Roles: admin',
      'a,b',
      '王小明',
      '🙂',
      "o'neil",
      '~*()!',
      '\u202ea',
      ' ',
    ]
    for (const name of names) {
      await copyUser(name, `'{"a,admin","Ä"}'`)
      const { headers, status } = await verify('', await application.accessToken(name))
      expect(status).toBe(204)
      expect(headers.get('x-auth-user')).toMatch(/^[A-Za-z0-9._@+%-]+$/)
      expect(decodeURIComponent(headers.get('x-auth-user') ?? '')).toBe(name)
      expect(headers.get('x-auth-roles')).toBe('a%2Cadmin,%C3%84')
    }
  })
})

describe('whatever comes', () => {
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

  test('the answer is a verdict, and nobody gets in without a token', async () => {
    await fc.assert(
      fc.asyncProperty(
        anyMethod,
        anyQuery,
        anyHeaders,
        fc.boolean(),
        fc.boolean(),
        async (method, query, given, isKnown, hasSlash) => {
          const headers = new Headers()
          for (const [name, value] of Object.entries(given)) headers.set(name, value)
          if (isKnown) headers.set('authorization', `Bearer ${plain}`)
          const hasBody = !['GET', 'HEAD'].includes(method)
          const request = new Request(`http://localhost/api${path}${hasSlash ? '/' : ''}${query}`, {
            method,
            headers,
            ...(hasBody ? { body: 'x'.repeat(100) } : {}),
          })
          const response = await application.http.handle(request, '192.0.2.7')
          expect(isKnown ? [204, 403] : [401]).toContain(response.status)
          if (response.status === 204) expect(response.headers.get('x-auth-user')).toBe('ada')
          expect(response.headers.get('cache-control')).toBe('no-store')
        },
      ),
      { numRuns: 1000 },
    )
  })

  test('also over a real socket: TRACE, an odd Host, a body that never comes', async () => {
    const server = await serve({ environment: { DATABASE_URL: await createDatabase(), SECRET_KEY: 'k'.repeat(32) } })
    const { hostname, port } = new URL(server.origin)
    const heads = [
      'TRACE /api/auth/verify HTTP/1.1\r\nHost: x',
      'OPTIONS /api/auth/verify HTTP/1.1\r\nHost: x\r\nOrigin: https://a.example\r\nAccess-Control-Request-Method: GET',
      'HEAD /api/auth/verify HTTP/1.1\r\nHost: x',
      'GET /api/auth/verify HTTP/1.1\r\nHost: a/b',
      'GET /api/auth/verify HTTP/1.1\r\nHost: a?b#c',
      'GET /api/auth/verify?role=%ff HTTP/1.1\r\nHost: x',
      'GET /api/auth/verify HTTP/1.0',
      'POST /api/auth/verify HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000',
      'POST /api/auth/verify HTTP/1.1\r\nHost: x\r\nContent-Length: 30\r\nContent-Type: application/json',
      'POST /api/auth/verify HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked',
    ]
    const statuses = await Promise.all(heads.map((head) => statusOf(hostname, Number(port), head)))
    await server.stop()
    expect(statuses).toEqual(heads.map(() => '401'))
  })

  test('a database that cannot be asked is 503 with Retry-After', async () => {
    const cut = await openTestApplication('PostgreSQL')
    await cut.sql('UPDATE users SET must_change_password = false')
    const token = await cut.accessToken()
    await cut.sql('ALTER TABLE audittrail_sessions RENAME TO gone')
    const broken = await cut.call(path, { headers: bearer(token) })
    await cut.deps.database.close()
    const closed = await cut.call(`${path}?role=admin`, { headers: bearer(token) })
    for (const response of [broken, closed])
      expect([response.status, response.headers.has('retry-after')]).toEqual([503, true])
    expect((await cut.call(path)).status).toBe(401)
  })
})

/** The status of the answer to a request of which no more comes than its head. */
function statusOf(hostname: string, port: number, head: string): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>()
  let text = ''
  Bun.connect({
    hostname,
    port,
    socket: {
      open: (socket) => void socket.write(`${head}\r\n\r\n`),
      data(socket, bytes) {
        text += bytes.toString()
        const status = /^HTTP\/1\.\d (\d{3})/.exec(text)?.[1]
        if (status === undefined) return
        resolve(status)
        socket.end()
      },
      close: () => resolve('closed'),
    },
  })
  return promise
}
