import { describe, expect, test } from 'bun:test'
import { createStartupHandler } from '../../../src/http/edge/listener.ts'

const settings = { basePath: '/api', trustedProxies: [], corsOrigins: [], isEnding: () => true }
const login = new Request('http://localhost/api/auth/login', { method: 'POST', headers: { 'x-request-id': 'one' } })

describe('before the routes are loaded', () => {
  test('only /health gets a response', async () => {
    const loading = Promise.withResolvers<{ handle: () => Response }>()
    const handle = createStartupHandler(settings, loading.promise)
    expect(((await handle(new Request('http://localhost/api/health'))) as Response).status).toBe(200)
    const response = handle(login)
    loading.resolve({ handle: () => new Response('signed in') })
    expect(await (await response).text()).toBe('signed in')
  })

  test('a request gets 503 if the start fails', async () => {
    const loading = Promise.withResolvers<never>()
    const handle = createStartupHandler(settings, loading.promise)
    const response = handle(login)
    loading.reject(new Error('stopped'))
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
