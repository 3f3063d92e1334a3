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

/** Sends these bytes and gives the whole answer; the request asks for the connection to be closed. */
function send(text: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  let answer = ''
  const socket = connect(Number(new URL(server.url).port), '127.0.0.1', () => socket.write(text))
  socket.on('data', (chunk) => {
    answer += chunk
  })
  socket.on('end', () => resolve(answer))
  socket.on('error', reject)
  return promise
}

const get = (path: string, ...lines: string[]) =>
  send([`GET ${path} HTTP/1.1`, ...lines, `Authorization: Bearer ${token}`, 'Connection: close', '', ''].join('\r\n'))
const statusOf = (answer: string) => Number(answer.split(' ')[1])

describe('the Host header', () => {
  test.each(['a', 'api', 'a:80', '[::1]', '127.0.0.1:8000', 'login.example.org'])(
    '%s finds the routes',
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
  ])('does not move %s along when it is %p', async (path, host) => {
    const answer = await get(path, `Host: ${host}`)
    expect([400, 404]).toContain(statusOf(answer))
    expect(answer).not.toContain('Default Admin')
  })

  test('may be missing in HTTP/1.0, and the path is the path', async () => {
    const old = (path: string) =>
      send(`GET ${path} HTTP/1.0\r\nAuthorization: Bearer ${token}\r\nConnection: close\r\n\r\n`)
    const answer = await old('/api/auth/me')
    expect(statusOf(answer)).toBe(200)
    expect(answer).toMatch(/cache-control: no-store/i)
    expect(statusOf(await old('/aaaaaaaaaa/api/auth/me'))).toBe(404)
  })

  test('that is empty or odd gets an answer with its headers all the same', async () => {
    for (const host of ['', 'a b', 'x/api']) {
      const answer = await get('/api/auth/me', `Host: ${host}`)
      expect(answer).toMatch(/x-request-id: /i)
      expect(answer).toMatch(/cache-control: no-store|HTTP\/1.1 400 /i)
    }
  })
})
