import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { openTestApplication, type TestApplication } from '../../application.ts'

const allowed = 'https://app.example.com'
let application: TestApplication
let closed: TestApplication
beforeAll(async () => {
  application = await openTestApplication('PostgreSQL', { corsOrigins: [allowed, 'http://localhost:5173'] })
  closed = await openTestApplication('PostgreSQL')
})
afterAll(async () => {
  await application.close()
  await closed.close()
})

const corsHeadersOf = (response: Response) =>
  [...response.headers.keys()].filter((name) => name.startsWith('access-control-'))
const preflight = (path: string, origin: string, method = 'POST') =>
  application.call(path, {
    method: 'OPTIONS',
    headers: { origin, 'access-control-request-method': method, 'access-control-request-headers': 'authorization' },
  })

describe('CORS without CORS_ORIGINS', () => {
  test('adds no headers for any origin', async () => {
    for (const origin of [allowed, 'null', '*']) {
      const response = await closed.call('/auth/me', { headers: { origin } })
      expect(corsHeadersOf(response)).toEqual([])
      expect(response.headers.has('vary')).toBe(false)
      const options = await closed.call('/auth/login', {
        method: 'OPTIONS',
        headers: { origin, 'access-control-request-method': 'POST' },
      })
      expect(options.status).toBe(204)
      expect(corsHeadersOf(options)).toEqual([])
    }
  })
})

describe('CORS for a listed origin', () => {
  test('allows reading successes and errors of every kind', async () => {
    const calls: [string, RequestInit, number][] = [
      ['/health', {}, 200],
      ['/nowhere', {}, 404],
      ['/auth/login', {}, 405],
      ['/auth/login', { method: 'POST', body: '{}', headers: { 'content-type': 'text/plain' } }, 415],
      ['/auth/login', { method: 'POST', body: new URLSearchParams({ username: 'admin', password: 'wrong' }) }, 401],
      ['/auth/me', {}, 401],
      ['/health?%zz', {}, 400],
      ['/health', { method: 'HEAD' }, 200],
    ]
    for (const [path, init, status] of calls) {
      const headers = new Headers(init.headers)
      headers.set('origin', allowed)
      const response = await application.call(path, { ...init, headers })
      expect(response.status).toBe(status)
      expect(response.headers.get('access-control-allow-origin')).toBe(allowed)
      expect(response.headers.get('access-control-allow-credentials')).toBe('true')
      expect(response.headers.get('access-control-expose-headers')).toBe('X-Request-Id, Retry-After, WWW-Authenticate')
      expect(response.headers.get('vary')).toBe('Origin')
    }
  })

  test('allows the methods of the path in a preflight', async () => {
    const response = await preflight('/auth/login', 'http://localhost:5173')
    expect(response.status).toBe(204)
    expect(await response.text()).toBe('')
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'access-control-allow-origin': 'http://localhost:5173',
      'access-control-allow-methods': 'POST',
      'access-control-allow-headers': 'Authorization, Content-Type, X-Request-Id',
      'access-control-max-age': '600',
      allow: 'POST, OPTIONS',
    })
    const user = await preflight('/users/2f1d9c0a-6f6e-4b0f-9f57-0d4f6a1f8a52', allowed, 'DELETE')
    expect(user.headers.get('access-control-allow-methods')).toBe('DELETE, GET, HEAD, PATCH')
    expect((await preflight('/nowhere', allowed)).status).toBe(404)
  })

  test('sends Vary: Origin, so that caches keep origins apart', async () => {
    const response = await application.call('/docs/page.js')
    expect(response.headers.get('vary')).toBe('Origin')
    const packed = await application.call('/docs/swagger-ui.css', { headers: { 'accept-encoding': 'gzip' } })
    expect(packed.headers.get('vary')).toBe('accept-encoding, Origin')
  })
})

describe('CORS for an unlisted origin', () => {
  test.each([
    ['null'],
    ['*'],
    [''],
    ['https://app.example.com.evil.example'],
    ['https://evil-app.example.com'],
    ['https://app.example.com:8443'],
    ['http://app.example.com'],
    ['https://APP.example.com'],
    ['https://app.example.com/'],
    ['https://app.example.com, https://evil.example'],
    ['https://app.example.com http://localhost:5173'],
  ])('%p gets a response without CORS headers', async (origin) => {
    const response = await application.call('/health', { headers: { origin } })
    expect(response.status).toBe(200)
    expect(corsHeadersOf(response)).toEqual([])
    expect(response.headers.get('vary')).toBe('Origin')
    const options = await preflight('/auth/login', origin)
    expect(options.status).toBe(204)
    expect(corsHeadersOf(options)).toEqual([])
  })
})

describe('a refused origin', () => {
  const refused = ({ lines }: TestApplication) =>
    lines.filter(({ event }) => event === 'cors.refused').map(({ origin }) => origin)

  test('is logged once, with and without CORS_ORIGINS', async () => {
    for (const app of [application, closed]) {
      app.lines.length = 0
      for (const path of ['/health', '/auth/me', '/health']) {
        for (const origin of ['http://localhost:3000', 'capacitor://localhost'])
          await app.call(path, { headers: { origin } })
      }
      expect(refused(app)).toEqual(['http://localhost:3000', 'capacitor://localhost'])
      expect(app.lines.find(({ event }) => event === 'cors.refused')).toMatchObject({ level: 'warn' })
    }
  })

  test('is not logged if it is allowed, or the origin of the request itself', async () => {
    application.lines.length = 0
    const own: Record<string, string>[] = [
      { origin: allowed },
      { origin: 'https://login.example.com', 'sec-fetch-site': 'same-origin' },
      { origin: 'https://login.example.com', host: 'login.example.com' },
      { origin: 'https://login.example.com:8443', host: 'login.example.com:8443' },
      { origin: 'https://login.example.com:8443', host: 'login.example.com' },
    ]
    for (const headers of own) await application.call('/health', { headers })
    expect(refused(application)).toEqual([])
    const others: Record<string, string>[] = [
      { origin: 'http://localhost:3001', 'sec-fetch-site': 'same-site', host: 'localhost' },
      { origin: 'http://localhost:3002', host: 'localhost:8000' },
    ]
    for (const headers of others) await application.call('/health', { headers })
    expect(refused(application)).toEqual(['http://localhost:3001', 'http://localhost:3002'])
  })

  test('is not logged beyond a hundred different ones, or if no browser sends it', async () => {
    const app = await openTestApplication('PostgreSQL')
    for (const origin of [`https://${'a'.repeat(400)}.example`, 'x event=login.failed', '*', 'https://a.example/path'])
      await app.call('/health', { headers: { origin } })
    expect(refused(app)).toEqual([])
    for (let number = 0; number < 150; number++)
      await app.call('/health', { headers: { origin: `https://a${number}.example` } })
    expect(refused(app)).toHaveLength(100)
    await app.close()
  })
})
