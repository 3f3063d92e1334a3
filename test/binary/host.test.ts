import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { connect } from 'node:net'
import { createDatabase } from '../postgresql.ts'
import { accessToken, type Server, serve } from './binary.ts'

let server: Server
let token: string
beforeAll(async () => {
  server = await serve({ environment: { DATABASE_URL: await createDatabase(), SECRET_KEY: 'k'.repeat(32) } })
  token = await accessToken(server.url)
})
afterAll(() => server.stop())

/** Sends a request with `Connection: close` and returns the whole response. */
function send(text: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  let response = ''
  const socket = connect(Number(new URL(server.url).port), '127.0.0.1', () => socket.write(text))
  socket.on('data', (chunk) => {
    response += chunk
  })
  socket.on('end', () => resolve(response))
  socket.on('error', reject)
  return promise
}

const get = (path: string, ...lines: string[]) =>
  send([`GET ${path} HTTP/1.1`, ...lines, `Authorization: Bearer ${token}`, 'Connection: close', '', ''].join('\r\n'))
const statusOf = (response: string) => Number(response.split(' ')[1])

describe('the Host header', () => {
  test.each(['a', 'api', 'a:80', '[::1]', '127.0.0.1:8000', 'login.example.org'])(
    '%s reaches the routes',
    async (host) => {
      expect(statusOf(await get('/api/auth/me', `Host: ${host}`))).toBe(200)
    },
  )

  test.each([
    ['/fo/api/auth/me', 'x'],
    ['/aaaaaaaaaa/api/auth/me', 'a b'],
    ['/auth/me', 'x/api'],
    ['/auth/me', 'x/api/'],
    ['/me', 'x/api/auth'],
  ])('does not change the path %s when it is %p', async (path, host) => {
    const response = await get(path, `Host: ${host}`)
    expect([400, 404]).toContain(statusOf(response))
    expect(response).not.toContain('Default Admin')
  })

  test('may be missing in HTTP/1.0 and does not change the path', async () => {
    const old = (path: string) =>
      send(`GET ${path} HTTP/1.0\r\nAuthorization: Bearer ${token}\r\nConnection: close\r\n\r\n`)
    const response = await old('/api/auth/me')
    expect(statusOf(response)).toBe(200)
    expect(response).toMatch(/cache-control: no-store/i)
    expect(statusOf(await old('/aaaaaaaaaa/api/auth/me'))).toBe(404)
  })

  test('that is empty or malformed gets a response with all headers', async () => {
    for (const host of ['', 'a b', 'x/api']) {
      const response = await get('/api/auth/me', `Host: ${host}`)
      expect(response).toMatch(/x-request-id: /i)
      expect(response).toMatch(/cache-control: no-store|HTTP\/1.1 400 /i)
    }
  })
})
