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

describe('while a server starts', () => {
  test('/health gets a response, /ready once the routes are loaded, and others once all is prepared', async () => {
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

  test.each(['loading', 'preparing'] as const)('a request gets 503 if %s fails', async (part) => {
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
