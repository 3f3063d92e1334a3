import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { login, type Server, serve } from '../binary/binary.ts'
import { hasCurl, holdsTheContract } from '../binary/seedContract.ts'
import { createDatabase } from '../postgresql.ts'
import { hasNginx, type Nginx, startNginx } from './nginx.ts'
import { curl, requestsOf } from './nginxRequests.ts'

const secretKey = { SECRET_KEY: 'k'.repeat(32) }
/** Differs from the address that Nginx calls from, so that the two can be told apart. */
const client = '127.0.0.9'

const variants = [
  { file: 'nginx.conf', environment: {}, issuer: 'https://auth.example.com' },
  // The service does not know its public path, so ISSUER says it.
  { file: 'nginx-strip-prefix.conf', environment: { BASE_PATH: '' }, issuer: 'https://auth.example.com/api' },
] as const

describe.skipIf(!(hasNginx && hasCurl)).each(variants)('behind Nginx with $file', ({ file, environment, issuer }) => {
  let server: Server
  let nginx: Nginx

  beforeAll(async () => {
    const database = { DATABASE_URL: await createDatabase(), ...secretKey, TRUSTED_PROXIES: '127.0.0.1' }
    server = await serve({ environment: { ...database, ...environment, ISSUER: issuer } })
    nginx = await startNginx(file, new URL(server.origin).host)
  })
  afterAll(async () => {
    await nginx.stop()
    await server.stop()
  })

  test('the seed contract holds', () => {
    holdsTheContract(nginx)
  })

  test('an OAuth client discovers everything from the host name', async () => {
    const path = `/.well-known/oauth-authorization-server${new URL(issuer).pathname.replace(/\/$/, '')}`
    const metadata = (await (await fetch(new URL(path, nginx.url))).json()) as object
    const at = (route: string) => `https://auth.example.com/api${route}`
    expect(metadata).toMatchObject({
      issuer,
      token_endpoint: at('/auth/login'),
      introspection_endpoint: at('/auth/introspect'),
    })
    expect((await requestsOf(server)).at(-1)).toMatchObject({ address: '127.0.0.1' })
  })

  test("the log has the client's address, whatever headers it sends", async () => {
    const id = crypto.randomUUID()
    for (const claim of ['203.0.113.9', '127.0.0.1', '203.0.113.9, 127.0.0.1', 'nonsense']) {
      await curl(
        `${nginx.url}/health`,
        '--interface',
        client,
        '-H',
        `X-Forwarded-For: ${claim}`,
        '-H',
        `X-Request-Id: ${id}`,
      )
    }
    const lines = (await requestsOf(server)).filter((line) => line.request_id === id)
    expect(lines.map(({ address }) => address)).toEqual([client, client, client, client])
  })

  test('one request has one id, in both logs and in the response', async () => {
    const own = crypto.randomUUID()
    const fromClient = await curl(`${nginx.url}/health`, '-i', '-H', `X-Request-Id: ${own}`)
    expect(headersOf(fromClient, 'x-request-id')).toEqual([own])
    const [made = ''] = headersOf(await curl(`${nginx.url}/health`, '-i', '-H', 'X-Request-Id: a b;c'), 'x-request-id')
    expect(made).toMatch(/^[0-9a-f]{32}$/)
    for (const id of [own, made]) {
      expect(await loggedBy(nginx, id)).toHaveLength(1)
      expect((await requestsOf(server)).filter((line) => line.request_id === id)).toHaveLength(1)
    }
  })

  test('no header is sent twice, and those of the service win', async () => {
    const paths = ['/health', '/docs', '/auth/me', '/nothing']
    for (const path of paths) {
      const answer = await curl(`${nginx.url}${path}`, '-i')
      for (const name of ['x-content-type-options', 'x-frame-options', 'referrer-policy', 'x-request-id'])
        expect({ path, name, sent: headersOf(answer, name).length }).toEqual({ path, name, sent: 1 })
      expect(headersOf(answer, 'cache-control').length).toBeLessThan(2)
      expect(headersOf(answer, 'server')).toEqual(['nginx'])
    }
    expect(await curl(`${nginx.url}/auth/me`)).toContain('urn:audittrail:problem:not_authenticated')
  })

  test('connections to the service are reused', async () => {
    const before = socketsOf(server)
    for (let count = 0; count < 20; count++) expect((await fetch(`${nginx.url}/health`)).status).toBe(200)
    expect(socketsOf(server) - before).toBeLessThan(10)
  })

  test('an oversized body returns 413 as a problem', async () => {
    const body = `username=admin&password=${'x'.repeat(70_000)}`
    const headers = { 'content-type': 'application/x-www-form-urlencoded' }
    const refused = await fetch(`${nginx.url}/auth/login`, { method: 'POST', body, headers })
    expect(refused.status).toBe(413)
    expect(refused.headers.get('content-type')).toBe('application/json')
    expect(await refused.json()).toEqual({
      type: 'about:blank',
      title: 'Content Too Large',
      status: 413,
      detail: 'The body is longer than 65536 bytes.',
      request_id: refused.headers.get('x-request-id'),
      error: 'invalid_request',
    })
    const elsewhere = await fetch(`${nginx.url}/health`, { method: 'POST', body, headers })
    expect(elsewhere.headers.get('content-type')).toBe('application/problem+json')
    expect(await elsewhere.json()).not.toHaveProperty('error')
  })

  test('only sign-ins are rate-limited per address, whatever form the path has', async () => {
    const spellings = ['/auth/login', '/auth/login/', '/auth//login', '/auth/%6cogin', '/x/../auth/login']
    // Browsers and our server read a backslash in a path as a slash, and may drop control
    // characters.
    for (const spelling of [
      '/auth\\login',
      '/x\\..\\auth\\login',
      '/auth%5clogin',
      '/auth/log%09in',
      '/auth/login%0a',
    ]) {
      const answer = await curl(`${nginx.url}${spelling}`, '-i', '--path-as-is', '-d', 'username=admin')
      expect({ spelling, status: answer.split(' ')[1] }).toEqual({ spelling, status: '404' })
      expect(headersOf(answer, 'retry-after')).toEqual([])
      expect(answer).toContain('"title":"Not Found","status":404')
    }
    const statuses: number[] = []
    const started = performance.now()
    for (let count = 0; count < 50; count++) {
      const args = ['-i', '--path-as-is', '-d', 'username=admin', '--interface', '127.0.0.10']
      const answer = await curl(`${nginx.url}${spellings[count % spellings.length]}`, ...args)
      statuses.push(Number(answer.split(' ')[1]))
      if (statuses.at(-1) !== 429) continue
      expect(headersOf(answer, 'retry-after')).toEqual(['2'])
      expect(answer).toContain('"title":"Too Many Requests","status":429')
    }
    // Twenty at once, and two per second.
    const admitted = 22 + Math.ceil((2 * (performance.now() - started)) / 1000)
    expect(statuses.slice(0, 20)).not.toContain(429)
    expect(statuses.filter((status) => status !== 429).length).toBeLessThanOrEqual(admitted)
    for (const path of ['/sign-in', '/auth/session', '/account/password', '/sign-in/']) {
      const limited = (...args: string[]) => curl(`${nginx.url}${path}`, '-i', '--interface', '127.0.0.10', ...args)
      // Every half second lets one more through.
      const responses = await Promise.all(Array.from({ length: 8 }, () => limited('-d', 'username=admin')))
      expect(responses.map((response) => response.split(' ')[1])).toContain('429')
      expect((await limited()).split(' ')[1]).not.toBe('429')
    }
    const reading = await Promise.all(Array.from({ length: 60 }, () => fetch(`${nginx.url}/health`)))
    expect(new Set(reading.map(({ status }) => status))).toEqual(new Set([200]))
    expect((await login(nginx.url)).status).toBe(200)
  })
})

function headersOf(answer: string, name: string): string[] {
  return [...answer.matchAll(new RegExp(`^${name}: (.*)\r$`, 'gim'))].map(([, value = '']) => value)
}

/** Connections to the server, including recently closed ones. */
function socketsOf(server: Server): number {
  const port = Number(new URL(server.origin).port).toString(16).toUpperCase().padStart(4, '0')
  return readFileSync('/proc/net/tcp', 'utf8').split(`:${port} `).length
}

/** Nginx writes its log line after the response. */
async function loggedBy(nginx: Nginx, id: string): Promise<readonly string[]> {
  for (let look = 0; look < 250; look++) {
    const lines = nginx.requests().filter((line) => line.endsWith(` ${id}`))
    if (lines.length > 0) return lines
    await Bun.sleep(20)
  }
  return []
}
