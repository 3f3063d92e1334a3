import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { openTestApplication, type TestApplication } from '../../application.ts'

let application: TestApplication
beforeAll(async () => {
  application = await openTestApplication('PostgreSQL', { trustedProxies: ['192.0.2.7'] })
})
afterAll(() => application.close())

const commonHeaders = {
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'x-frame-options': 'DENY',
  'cross-origin-resource-policy': 'same-origin',
}

describe('response headers', () => {
  test.each([
    ['GET', '/health', 200],
    ['HEAD', '/health', 200],
    ['OPTIONS', '/health', 204],
    ['GET', '/nowhere', 404],
    ['GET', '/auth/login', 405],
    ['GET', '/auth/me', 401],
    ['GET', '/health?%zz', 400],
    ['POST', '/auth/login', 415],
    ['TRACE', '/health', 405],
    ['GET', '/docs/page.css', 200],
    ['GET', '/openapi.json', 200],
  ])('%s %s: returns %i with the security headers', async (method, path, status) => {
    const response = await application.call(path, { method })
    expect(response.status).toBe(status)
    expect(Object.fromEntries(response.headers)).toMatchObject({
      ...commonHeaders,
      'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
    })
    for (const name of ['server', 'x-powered-by', 'strict-transport-security', 'access-control-allow-origin'])
      expect(response.headers.has(name)).toBe(false)
  })

  test('docs page: has its own content security policy', async () => {
    const { headers } = await application.call('/docs')
    expect(Object.fromEntries(headers)).toMatchObject(commonHeaders)
    expect(headers.get('content-security-policy')).toContain("script-src 'self'")
  })

  test('include HSTS only over https', async () => {
    const over = (protocol: string, address?: string) =>
      application.call('/auth/me', { headers: { 'x-forwarded-proto': protocol }, ...(address ? { address } : {}) })
    expect((await over('https')).headers.get('strict-transport-security')).toBe('max-age=31536000')
    expect((await over('http')).headers.has('strict-transport-security')).toBe(false)
    expect((await over('https', '203.0.113.9')).headers.has('strict-transport-security')).toBe(false)
  })

  test('are no-store unless the route declares itself cacheable', async () => {
    for (const path of [
      '/auth/me',
      '/auth/login',
      '/users',
      '/users/x',
      '/nowhere',
      '/health?%zz',
      '/health',
      '/ready',
    ])
      expect((await application.call(path)).headers.get('cache-control')).toBe('no-store')
    expect((await application.call('/docs/page.css')).headers.get('cache-control')).toBe('public, max-age=3600')
  })
})

describe('OPTIONS', () => {
  test('lists the methods of every path, without credentials', async () => {
    // Forward auth treats all methods alike and requires credentials.
    const paths = application.http.routes.routes.filter(({ path }) => path !== '/api/auth/verify')
    for (const { method, path } of paths) {
      const response = await application.call(path.slice('/api'.length).replaceAll(/:\w+/g, 'x'), { method: 'OPTIONS' })
      expect(response.status).toBe(204)
      expect(await response.text()).toBe('')
      const allow = response.headers.get('allow')?.split(', ') ?? []
      expect(allow).toContain(method)
      expect(allow).toContain('OPTIONS')
      expect(allow.includes('HEAD')).toBe(allow.includes('GET'))
    }
  })

  test('returns 404 for an unknown path', async () => {
    for (const path of ['/nowhere', '/users//password', '//nowhere']) {
      expect((await application.call(path, { method: 'OPTIONS' })).status).toBe(404)
    }
  })
})

describe('method', () => {
  test.each(['TRACE', 'CONNECT'])('%s returns 405 on every path without echoing the request', async (method) => {
    for (const path of ['/health', '/auth/me', '/nowhere']) {
      // Request rejects these methods.
      const request = new Proxy(new Request(`http://localhost/api${path}`, { headers: { cookie: 's3cret' } }), {
        get: (target, name) => {
          if (name === 'method') return method
          const value = Reflect.get(target, name, target)
          return typeof value === 'function' ? value.bind(target) : value
        },
      })
      const response = await application.http.handle(request, '192.0.2.7')
      expect(response.status).toBe(405)
      expect(response.headers.get('allow')).toBe(path === '/nowhere' ? '' : 'GET, HEAD')
      expect(await response.text()).not.toContain('s3cret')
    }
  })

  test.each(['PUT', 'PATCH', 'DELETE', 'PROPFIND'])(
    '%s returns 405 with Allow if the path does not support it',
    async (method) => {
      const response = await application.call('/auth/me', { method })
      expect(response.status).toBe(405)
      expect(response.headers.get('allow')).toBe('GET, HEAD')
    },
  )
})

describe('path with an empty segment', () => {
  test.each([
    ['POST', '/users//password'],
    ['GET', '/users//sessions'],
    ['GET', '//health'],
    ['GET', '/health//'],
    ['DELETE', '/auth/sessions//'],
  ])('%s %s: returns 404', async (method, path) => {
    expect((await application.call(path, { method })).status).toBe(404)
  })
})

describe('HEAD', () => {
  test.each([
    '/health',
    '/ready',
    '/openapi.json',
    '/docs',
    '/docs/page.css',
    '/docs/swagger-ui-bundle.js',
    '/auth/me',
    '/users',
  ])('%s: returns the headers of GET and no body', async (path) => {
    for (const encoding of ['identity', 'gzip']) {
      const headers = { 'accept-encoding': encoding, 'x-request-id': 'the-same' }
      const [get, head] = await Promise.all(
        ['GET', 'HEAD'].map((method) => application.call(path, { method, headers })),
      )
      const headersOf = (response?: Response) =>
        Object.fromEntries(
          [...(response?.headers ?? [])].filter(([name]) => name !== 'date' && name !== 'content-length'),
        )
      expect(head?.status).toBe(get?.status ?? 0)
      expect(headersOf(head)).toEqual(headersOf(get))
      expect(await head?.text()).toBe('')
    }
  })
})
