import { describe, expect, test } from 'bun:test'
import { createStartupHandler } from '../../../src/http/edge/listener.ts'

const settings = { basePath: '/api', trustedProxies: [], corsOrigins: [], isEnding: () => true }
const login = new Request('http://localhost/api/auth/login', { method: 'POST', headers: { 'x-request-id': 'one' } })

const health = new Request('http://localhost/api/health')
const ready = new Request('http://localhost/api/ready')
const start = () => {
  const loading = Promise.withResolvers<{ handle: (request: Request) => Response }>()
  const preparing = Promise.withResolvers<void>()
  return { loading, preparing, handle: createStartupHandler(settings, loading.promise, preparing.promise) }
}

describe('while a server starts, the listener', () => {
  test('responds to /health at once, to /ready after loading, and to other requests after preparation', async () => {
    const { loading, preparing, handle } = start()
    expect((await handle(health)).status).toBe(200)
    const order: string[] = []
    const responses = [login, ready].map(async (request) => order.push(await (await handle(request)).text()))
    loading.resolve({ handle: ({ url }) => new Response(url) })
    await responses[1]
    expect(order).toEqual([ready.url])
    preparing.resolve()
    await responses[0]
    expect(order).toEqual([ready.url, login.url])
  })

  test.each(['/api/health?x=1', '/api/ready?x=1', '/api/ready'])('responds to %s after loading', async (target) => {
    const { loading, handle } = start()
    // Bun's URL of a request without a Host header.
    const withoutHost = new Proxy(ready, {
      get: (request, name) => (name === 'url' ? target : Reflect.get(request, name)),
    })
    loading.resolve({ handle: () => new Response('loaded') })
    expect(await (await handle(withoutHost)).text()).toBe('loaded')
    expect(await (await handle(new Request(`http://localhost${target}`))).text()).toBe('loaded')
  })

  test.each(['loading', 'preparing'] as const)('returns 503 if %s fails', async (part) => {
    const started = start()
    const response = started.handle(login)
    if (part === 'preparing') started.loading.resolve({ handle: () => new Response() })
    else started.preparing.resolve()
    started[part].reject(new Error('stopped'))
    const { status, headers } = await response
    expect(status).toBe(503)
    expect(Object.fromEntries(headers)).toMatchObject({
      'content-type': 'application/problem+json',
      'retry-after': '2',
      'x-request-id': 'one',
      'cache-control': 'no-store',
      connection: 'close',
    })
    expect(await (await response).json()).toMatchObject({
      type: 'urn:audittrail:problem:unavailable',
      detail: 'The service is temporarily unavailable. Try again shortly.',
    })
  })
})
