import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import postgres from 'postgres'
import { accessToken, run, type Server, serve } from '../binary/binary.ts'
import { hasCurl } from '../binary/seedContract.ts'
import { createDatabase } from '../postgresql.ts'
import { freePort } from '../postgresqlServer.ts'
import { hasNginx, type Nginx, startNginxSite } from './nginx.ts'
import { printSite, serveEcho } from './nginxSite.ts'

const password = 'a long enough pass phrase'

describe.skipIf(!(hasNginx && hasCurl)).each([
  ['/api', {}],
  ['', { BASE_PATH: '' }],
] as const)('behind real Nginx, BASE_PATH %p', (_basePath, environment) => {
  let server: Server
  let databaseUrl: string
  let sql: postgres.Sql
  let echo: ReturnType<typeof serveEcho>
  let nginx: Nginx
  let token: string

  beforeAll(async () => {
    databaseUrl = await createDatabase()
    const settings = { DATABASE_URL: databaseUrl, SECRET_KEY: 'k'.repeat(32), TRUSTED_PROXIES: '127.0.0.1' }
    server = await serve({ environment: { ...settings, ADMIN_PASSWORD: password, ...environment } })
    sql = postgres(databaseUrl, { max: 1 })
    await copyUser('Ada.L+1@x_y-z', '{staff}')
    echo = serveEcho()
    const port = await freePort()
    const service = [
      '--server-name',
      'localhost',
      '--listen',
      `127.0.0.1:${port}`,
      '--service',
      new URL(server.origin).host,
    ]
    const upstreams = ['/orders=', '/boss=:admin', '/team=:staff,other', '/orders/a.b=:admin'].map((text) => {
      const [path, words] = text.split('=')
      return ['--upstream', `${path}=http://${echo.host}${words}`]
    })
    nginx = await startNginxSite(await printSite([...service, ...upstreams.flat()], environment), port)
    token = await accessToken(nginx.url, 'Ada.L+1@x_y-z', password)
  })
  afterAll(async () => {
    await nginx?.stop()
    await server?.stop()
    echo?.stop()
    await sql?.end()
  })

  const copyUser = (username: string, roles: string) =>
    sql`INSERT INTO users (username, hashed_password, full_name, roles)
      SELECT ${username}, hashed_password, 'Someone', ${roles}::text[] FROM users WHERE username = 'admin'`
  const get = (path: string, headers: Record<string, string> = {}, bearer: string | undefined = token) =>
    fetch(nginx.origin + path, { headers: { ...headers, ...(bearer ? { authorization: `Bearer ${bearer}` } : {}) } })
  const claims = {
    'X-Auth-User': 'admin',
    'x-auth-user-id': '1',
    'X-AUTH-ROLES': 'admin',
    'X-Auth-Session': 'x',
    X_Auth_User: 'admin',
    'X_Auth-Roles': 'admin',
    'X.Auth.User': 'admin',
    'Remote-User': 'admin',
    'X-Forwarded-User': 'admin',
    'X-Original-URI': '/api/health',
  }

  test("a valid token passes, with exactly its user's identity", async () => {
    for (const path of ['/orders', '/orders/', '/orders/1?x=%20y', '/team/x']) {
      const answer = (await (await get(path, claims)).json()) as { url: string; headers: Record<string, string> }
      expect(answer.url).toBe(`http://localhost${path}`.replace('localhost', new URL(answer.url).host))
      const identity = Object.entries(answer.headers).filter(
        ([name]) => /auth[-_.]|user/i.test(name) && name !== 'user-agent',
      )
      const me = await sql`SELECT u.id, s.id AS session FROM users u JOIN audittrail_sessions s ON s.user_id = u.id`
      expect(Object.fromEntries(identity)).toEqual({
        'x-auth-user': 'Ada.L+1@x_y-z',
        'x-auth-user-id': me[0]?.id,
        'x-auth-roles': 'staff',
        'x-auth-session': me[0]?.session,
      })
    }
  })

  test('an API key passes as a service name, which is never a username', async () => {
    const environment = { DATABASE_URL: databaseUrl, SECRET_KEY: 'k'.repeat(32) }
    const create = async (...flags: string[]) =>
      (await run(['apikey', 'create', 'reports', ...flags], { environment })).stdout.trim()
    const key = await create('--role', 'staff')
    const answer = (await (await get('/team', claims, key)).json()) as { headers: Record<string, string> }
    const identity = Object.entries(answer.headers).filter(
      ([name]) => /auth[-_.]|user/i.test(name) && name !== 'user-agent',
    )
    const [service] = await sql`SELECT id FROM audittrail_services`
    expect(Object.fromEntries(identity)).toEqual({
      'x-auth-user': 'service:reports',
      'x-auth-user-id': service?.id,
      'x-auth-roles': 'staff',
    })
    expect((await get('/orders', {}, key)).status).toBe(200)
    expect((await get('/boss', {}, key)).status).toBe(403)
    // Without a role no upstream is open to it, not even those that require none.
    expect((await get('/orders', {}, await create('--scope', 'introspect', '--scope', 'users:write'))).status).toBe(403)
    await run(['apikey', 'revoke', 'reports'], { environment })
    expect((await get('/team', {}, key)).status).toBe(401)
  })

  test('no request passes without a credential or with the wrong role, and the upstream never sees it', async () => {
    const before = echo.asked()
    const none = await get('/orders', claims, '')
    expect([none.status, none.headers.get('www-authenticate')]).toEqual([401, 'Bearer'])
    expect(none.headers.get('content-type')).toBe('application/problem+json')
    expect(await none.json()).toMatchObject({ status: 401, title: 'Unauthorized' })
    expect((await get('/orders', {}, 'x.y.z')).status).toBe(401)
    expect((await get('/boss', claims)).status).toBe(403)
    for (const path of ['/boss/', '/team/../boss/x', '//boss', '/team//..//boss'])
      expect({ path, status: await statusOf(path) }).toEqual({ path, status: 403 })
    // Nginx reads a letter. Whatever reads paths like a browser (Bun, many others) reads a slash.
    for (const path of [
      '/orders\\..\\boss',
      '/orders/..\\boss',
      '/team/x%5c..%5c..%5cboss',
      '/boss\\',
      '/team/%2e%2e/boss/x',
      '/orders/..%2fboss',
    ])
      expect({ path, status: await statusOf(path) }).toEqual({ path, status: 404 })
    expect((await get('/_audittrail/verify/1')).status).toBe(404)
    expect(echo.asked()).toBe(before)
  })

  test('no request passes in a path form that an upstream may map to another location', async () => {
    const before = echo.asked()
    for (const path of ['/orders/a.b', '/orders/a.b/x', '/orders/%61.b', '/orders/x/../a.b/', '/orders//a%2eb'])
      expect({ path, status: await statusOf(path) }).toEqual({ path, status: 403 })
    // Many routers ignore case. Some drop an extension, or everything after a semicolon, even of
    // `..`.
    for (const path of [
      'A.b',
      'A.B/x',
      'a.b;x',
      'a.b;x/y',
      'a.b.json',
      'a.b%20',
      'a.b%5cx',
      'a.b%3f',
      'x/..;/a.b',
      '.;/a.b',
    ])
      expect({ path, status: await statusOf(`/orders/${path}`) }).toEqual({ path, status: 404 })
    expect(echo.asked()).toBe(before)
    for (const path of ['/orders/a.bc', '/orders/a.b-c', '/orders/axb', '/orders/x/a.b', '/orders/x%20y'])
      expect({ path, status: await statusOf(path) }).toEqual({ path, status: 200 })
  })

  test('headers of the client about addresses, hosts and paths are not trusted', async () => {
    const forged = {
      'X-Real-IP': '203.0.113.9',
      'X-Forwarded-For': '203.0.113.9',
      'X-Forwarded-Host': 'evil.example',
      'X-Forwarded-Port': '1',
      'X-Forwarded-Prefix': '/evil',
      'X-Forwarded-Server': 'evil.example',
      'X-Original-URL': '/evil',
      'X-Rewrite-URL': '/evil',
      Forwarded: 'for=203.0.113.9;host=evil.example',
    }
    const answer = (await (await get('/orders', forged)).json()) as { headers: Record<string, string> }
    expect(JSON.stringify(answer.headers)).not.toMatch(/evil|203\.0\.113\.9|"1"/)
    expect(answer.headers).toMatchObject({
      'x-forwarded-for': '127.0.0.1',
      'x-real-ip': '127.0.0.1',
      'x-forwarded-host': '127.0.0.1',
    })
  })

  /** Sends the path as it is. fetch would normalize it. */
  const statusOf = async (path: string): Promise<number> => {
    const args = ['-s', '-o', '/dev/null', '-w', '%{http_code}', '--path-as-is', '-H', `Authorization: Bearer ${token}`]
    return Number(await new Response(Bun.spawn(['curl', ...args, nginx.origin + path]).stdout).text())
  }

  test('every method and body reaches the upstream, and the subrequest has no body', async () => {
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
      const body = 'x'.repeat(200_000)
      const response = await fetch(`${nginx.origin}/orders`, {
        method,
        body,
        headers: { authorization: `Bearer ${token}` },
      })
      expect(await response.json()).toMatchObject({ method, body })
    }
  })

  test('every allowed username arrives unchanged, others percent-encoded', async () => {
    for (const name of ['.', '+', '@', '-_-', 'A'.repeat(50), 'a@b.c+d', 'Zoë', 'a b', '%41', 'x,y', '王']) {
      await copyUser(name, '{}')
      const answer = await (await get('/orders', {}, await accessToken(server.url, name, password))).json()
      const { headers } = answer as { headers: Record<string, string> }
      expect(decodeURIComponent(headers['x-auth-user'] ?? '')).toBe(name)
      if (/^[\w.@+-]+$/.test(name)) expect(headers['x-auth-user']).toBe(name)
      expect(headers['x-auth-roles']).toBeUndefined()
    }
  })

  test('a quarantined administrator gets no access', async () => {
    await sql`UPDATE users SET must_change_password = true WHERE username = 'admin'`
    const quarantined = await accessToken(server.url, 'admin', password)
    await sql`UPDATE users SET must_change_password = false WHERE username = 'admin'`
    for (const path of ['/boss', '/orders']) expect((await get(path, {}, quarantined)).status).toBe(403)
    expect((await get('/boss', {}, await accessToken(server.url, 'admin', password))).status).toBe(200)
  })

  test('an unreachable database and a stopped service mean 503 and never access', async () => {
    const before = echo.asked()
    await sql`ALTER TABLE audittrail_sessions RENAME TO gone`
    const closed = await get('/orders')
    expect([closed.status, closed.headers.get('retry-after')]).toEqual([503, '2'])
    await sql`ALTER TABLE gone RENAME TO audittrail_sessions`
    expect((await get('/orders')).status).toBe(200)
    await server.stop()
    for (const path of ['/orders', '/boss/x']) {
      const rejected = await get(path)
      expect(rejected.status).toBe(503)
      expect(await rejected.json()).toMatchObject({ title: 'Service Unavailable', status: 503 })
    }
    expect(echo.asked()).toBe(before + 1)
  })
})
