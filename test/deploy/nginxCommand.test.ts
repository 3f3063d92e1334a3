import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { chmodSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import postgres from 'postgres'
import { accessToken, run, type Server, serve } from '../binary/binary.ts'
import { hasCurl } from '../binary/seedContract.ts'
import { createDatabase } from '../postgresql.ts'
import { freePort, startServer } from '../postgresqlServer.ts'
import { hasProgram } from '../requirements.ts'
import { faultOf, hasNginx, type Nginx, startNginxSite, writeSite } from './nginx.ts'

const hasOpenssl = hasProgram('openssl', 'openssl')
const password = 'a long enough pass phrase'

/** Returns the printed configuration, with its cache where an unprivileged test may write. */
async function print(args: readonly string[], environment: Record<string, string> = {}): Promise<string> {
  const { code, stdout, stderr } = await run(['nginx', ...args], { environment })
  if (code !== 0) throw new Error(stderr)
  const directory = mkdtempSync(join(tmpdir(), 'audittrail-cache-'))
  // Nginx started as root runs workers as another user, who needs access.
  chmodSync(directory, 0o755)
  return stdout.replace('proxy_cache_path /run/', `proxy_cache_path ${directory}/`)
}

/** An upstream that reports the request it received. */
function serveEcho() {
  let asked = 0
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    fetch: async (request) => {
      asked++
      const body = await request.text()
      return Response.json({ url: request.url, method: request.method, headers: request.headers.toJSON(), body })
    },
  })
  return { host: `127.0.0.1:${server.port}`, asked: () => asked, stop: () => server.stop(true) }
}

describe('audittrail nginx', () => {
  const good = ['--server-name', 'app.example.com', '--upstream', '/orders=http://127.0.0.1:9000']

  test.each([
    [['--server-name', 'a b']],
    [['--server-name', 'x; } server {']],
    [['--server-name', '']],
    [['--server-name', '*.example.com']],
    [[...good, '--server-name', 'x']],
    [[...good, '--upstream', '/orders=http://127.0.0.1:9001']],
    [[...good, '--upstream', '/orders/=http://127.0.0.1:9001']],
    [[...good, '--upstream', '/x=https://127.0.0.1:9001']],
    [[...good, '--upstream', '/x=http://127.0.0.1']],
    [[...good, '--upstream', '/x=http://127.0.0.1:99999']],
    [[...good, '--upstream', '/x y=http://127.0.0.1:9001']],
    [[...good, '--upstream', '/x/../y=http://127.0.0.1:9001']],
    [[...good, '--upstream', '//x=http://127.0.0.1:9001']],
    [[...good, '--upstream', '/api=http://127.0.0.1:9001']],
    [[...good, '--upstream', '/api/auth=http://127.0.0.1:9001']],
    [[...good, '--upstream', '/_audittrail/verify/1=http://127.0.0.1:9001']],
    [[...good, '--upstream', '/x=http://127.0.0.1:9001:Admin']],
    [[...good, '--upstream', '/x=http://127.0.0.1:9001:a,,b']],
    [[...good, '--upstream', '/x=http://127.0.0.1:9001:']],
    [[...good, '--upstream', `/x=http://127.0.0.1:9001:${'r'.repeat(33)}`]],
    [[...good, '--upstream', `/${'x'.repeat(200)}=http://127.0.0.1:9001`]],
    [[...good, '--service', '127.0.0.1']],
    [[...good, '--listen', '80 default_server']],
    [[...good, '--listen', '0']],
    [[...good, '--root', 'relative']],
    [[...good, '--root', '/a/../b']],
    [[...good, '--root', '/a;b']],
    [[...good, '--root', '/srv/web', '--upstream', '/=http://127.0.0.1:9001']],
    [[...good, '--tls-key', '/etc/key.pem']],
    [[...good, '--cache', '1']],
    [[...good, '--cache', '61']],
    [[...good, '--cache', '5s']],
  ])('rejects %j with one line and exit code 2', async (args) => {
    const { code, stdout, stderr } = await run(['nginx', ...args])
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toMatch(/^audittrail: --[^\n]+\.[^\n]*\n$/)
  })
})

describe.skipIf(!hasNginx)('the printed configuration', () => {
  test.each([
    [['--server-name', 'app.example.com']],
    [['--server-name', 'localhost', '--upstream', '/=http://[::1]:9000:admin,staff', '--listen', '8080']],
    [['--server-name', `${'long.'.repeat(40)}example`, '--upstream', '/a.b/c_d-~=http://127.0.0.1:9000']],
    [
      [
        '--server-name',
        'a.example',
        '--service',
        '127.0.0.1:8000',
        '--service',
        '127.0.0.1:8001',
        '--root',
        '/srv/web',
      ],
    ],
    [['--server-name', 'a.example', '--cache', '60', '--upstream', '/x=http://127.0.0.1:9000']],
    [['--server-name', 'a.example', '--upstream', `/x=http://127.0.0.1:9000:${roles(32)}`]],
  ])('passes nginx -t: %j', async (args) => {
    expect(faultOf(writeSite(await print(args)))).toBeUndefined()
  })

  test.skipIf(!hasOpenssl)('passes nginx -t with a certificate and next to a second site', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'audittrail-tls-'))
    const [certificate, key] = [join(directory, 'chain.pem'), join(directory, 'key.pem')]
    const openssl = ['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
    const names = ['-subj', '/CN=app.example.com', '-days', '2', '-keyout', key, '-out', certificate]
    expect(Bun.spawnSync([...openssl, ...names]).exitCode).toBe(0)
    const tls = ['--tls-certificate', certificate, '--tls-key', key]
    const first = await print(['--server-name', 'app.example.com', '--upstream', '/x=http://127.0.0.1:9000', ...tls])
    const second = await print([
      '--server-name',
      'other.example.com',
      '--upstream',
      '/x=http://127.0.0.1:9000',
      '--cache',
      '5',
    ])
    expect(first).toContain('return 301 https://app.example.com$request_uri;')
    expect(faultOf(writeSite(first + second))).toBeUndefined()
  })

  test('contains only validated input: every accepted value is a single word', async () => {
    const text = fc.string({ unit: fc.constantFrom(...'a0/.:=-_~[];{}$"\'\\ \n\t#,'), maxLength: 20 })
    const { readSite } = await import('../../src/cli/nginx/site.ts')
    const settings = { basePath: '/api', port: 8000 }
    const word = /^[A-Za-z0-9._~:/[\]-]*$/
    fc.assert(
      fc.property(text, text, text, (name, path, rest) => {
        const flags = new Map([
          ['server-name', [name]],
          ['upstream', [`/${path}=http://${rest}`]],
          ['root', [`/${rest}`]],
          ['listen', [rest]],
          ['service', [rest]],
        ])
        for (const [flag, values] of flags) {
          try {
            const site = readSite(
              new Map([
                ['server-name', ['a']],
                [flag, values],
              ]),
              settings,
            )
            const upstreams = site.upstreams.flatMap(({ path, server, roles }) => [path, server, ...roles])
            for (const value of [site.serverName, site.root ?? '', site.listen ?? '', ...site.services, ...upstreams])
              expect(value).toMatch(word)
          } catch (error) {
            expect((error as { code?: string }).code).toBe('usage')
          }
        }
      }),
      { numRuns: 3000 },
    )
  })
})

function roles(count: number): string {
  return Array.from({ length: count }, (_, at) => `${'r'.repeat(29)}-${at}`).join(',')
}

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
    nginx = await startNginxSite(await print([...service, ...upstreams.flat()], environment), port)
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
    for (const path of [
      '/boss/',
      '/team/../boss/x',
      '/team/%2e%2e/boss/x',
      '//boss',
      '/team//..//boss',
      '/orders/..%2fboss',
    ])
      expect({ path, status: await statusOf(path) }).toEqual({ path, status: 403 })
    // Nginx reads a letter. Whatever reads paths like a browser (Bun, many others) reads a slash.
    for (const path of ['/orders\\..\\boss', '/orders/..\\boss', '/team/x%5c..%5c..%5cboss', '/boss\\'])
      expect({ path, status: await statusOf(path) }).toEqual({ path, status: 404 })
    expect((await get('/_audittrail/verify/1')).status).toBe(404)
    expect(echo.asked()).toBe(before)
  })

  test('no request passes in a path form that an upstream may map to another location', async () => {
    const before = echo.asked()
    for (const path of ['/orders/a.b', '/orders/a.b/x', '/orders/%61.b', '/orders/x/../a.b/', '/orders//a%2eb'])
      expect({ path, status: await statusOf(path) }).toEqual({ path, status: 403 })
    // Many routers ignore case. Some drop an extension, or everything after a semicolon, even of `..`.
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
    for (const path of ['/orders/a.bc', '/orders/a.b-c', '/orders/axb', '/orders/x/a.b', '/orders/x;y'])
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
    for (const path of ['/orders', '/boss/x']) expect((await get(path)).status).toBe(503)
    expect(echo.asked()).toBe(before + 1)
  })
})

test.skipIf(!hasNginx)('a web app: hidden files such as settings and history are not served', async () => {
  const root = mkdtempSync(join(tmpdir(), 'audittrail-web-'))
  chmodSync(root, 0o755)
  for (const path of ['index.html', '.env', '.git/config', 'a/.htpasswd', '.well-known/security.txt', 'a/b.js'])
    await Bun.write(join(root, path), path)
  const port = await freePort()
  const place = ['--server-name', 'localhost', '--listen', `127.0.0.1:${port}`, '--root', root]
  const nginx = await startNginxSite(await print(place), port)
  const ask = async (path: string) => {
    const response = await fetch(nginx.origin + path)
    return response.status === 200 ? response.text() : response.status
  }
  for (const path of ['/.env', '/.git/config', '/a/.htpasswd', '/a/%2egit', '/.well-known', '/.Env'])
    expect({ path, answer: await ask(path) }).toEqual({ path, answer: 404 })
  for (const path of ['/.well-known/security.txt', '/a/b.js']) expect(await ask(path)).toBe(path.slice(1))
  expect(await ask('/some/route')).toBe('index.html')
  await nginx.stop()
})

test.skipIf(!hasNginx)('a cached decision holds for one credential and one request, and expires on time', async () => {
  const echo = serveEcho()
  let asked: string[] = []
  let status = 204
  // Stands in for AuditTrail, to record the subrequests and to change the decision at any time.
  const service = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    fetch: (request) => {
      const token = request.headers.get('authorization')
      asked.push(`${new URL(request.url).search} ${token}`)
      const headers = { 'x-auth-user': `${token?.slice(7)}`, 'cache-control': 'no-store' }
      return new Response(null, { status: token === 'Bearer bad' ? 401 : status, headers })
    },
  })
  const port = await freePort()
  const upstreams = ['--upstream', `/a=http://${echo.host}`, '--upstream', `/b=http://${echo.host}:admin`]
  const place = [
    '--server-name',
    'localhost',
    '--listen',
    `127.0.0.1:${port}`,
    '--service',
    `127.0.0.1:${service.port}`,
  ]
  const seconds = 2
  const nginx = await startNginxSite(await print([...place, ...upstreams, '--cache', String(seconds)]), port)
  const get = (path: string, token: string) =>
    fetch(nginx.origin + path, { headers: { authorization: `Bearer ${token}`, 'cache-control': 'no-cache' } })
  const userOf = async (path: string, token: string) =>
    ((await (await get(path, token)).json()) as { headers: Record<string, string> }).headers['x-auth-user']

  for (const token of ['one', 'two', 'one', 'two']) expect(await userOf('/a/x', token)).toBe(token)
  expect(await userOf('/b', 'one')).toBe('one')
  expect(asked.sort()).toEqual([' Bearer one', ' Bearer two', '?role=admin Bearer one'])
  asked = []
  for (let time = 0; time < 3; time++) expect((await get('/a', 'bad')).status).toBe(401)
  expect(asked).toHaveLength(3)

  // Starting at any fraction of a second: a cached decision is never used past its age.
  for (const part of [0, 400, 800]) {
    await Bun.sleep(1000 - (Date.now() % 1000) + part)
    status = 204
    const token = `from-${part}`
    expect((await get('/a', token)).status).toBe(200)
    const until = performance.now() + seconds * 1000
    status = 403
    while (performance.now() < until) await Bun.sleep(10)
    expect((await get('/a', token)).status).toBe(403)
  }
  await nginx.stop()
  service.stop(true)
  echo.stop()
})

test.skipIf(!hasNginx)('a stopped or frozen database means 503 and never access', async () => {
  const database = await startServer()
  const environment = { DATABASE_URL: database.url, SECRET_KEY: 'k'.repeat(32), ADMIN_PASSWORD: password }
  const server = await serve({ environment: { ...environment, TRUSTED_PROXIES: '127.0.0.1' } })
  const token = await accessToken(server.url, 'admin', password)
  const echo = serveEcho()
  const port = await freePort()
  const place = [
    '--server-name',
    'localhost',
    '--listen',
    `127.0.0.1:${port}`,
    '--service',
    new URL(server.origin).host,
  ]
  const nginx = await startNginxSite(await print([...place, '--upstream', `/a=http://${echo.host}`]), port)
  const ask = async () => (await fetch(`${nginx.origin}/a`, { headers: { authorization: `Bearer ${token}` } })).status
  expect(await ask()).toBe(200)
  const frozen = [...database.backends(), database.processId()]
  for (const id of frozen) process.kill(id, 'SIGSTOP')
  expect(await ask()).toBe(503)
  for (const id of frozen) process.kill(id, 'SIGCONT')
  await database.halt('immediate')
  expect([await ask(), await ask()]).toEqual([503, 503])
  expect(echo.asked()).toBe(1)
  await nginx.stop()
  await server.stop()
  echo.stop()
  await database.stop()
})
