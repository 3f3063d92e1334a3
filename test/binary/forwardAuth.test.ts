import { expect, test } from 'bun:test'
import { createDatabase } from '../postgresql.ts'
import { serve } from './binary.ts'

test('GET /auth/verify returns 401 over a socket for TRACE, a malformed Host and an unfinished body', async () => {
  const server = await serve({ environment: { DATABASE_URL: await createDatabase(), SECRET_KEY: 'k'.repeat(32) } })
  const { hostname, port } = new URL(server.origin)
  const heads = [
    'TRACE /api/auth/verify HTTP/1.1\r\nHost: x',
    'OPTIONS /api/auth/verify HTTP/1.1\r\nHost: x\r\nOrigin: https://a.example\r\nAccess-Control-Request-Method: GET',
    'HEAD /api/auth/verify HTTP/1.1\r\nHost: x',
    'GET /api/auth/verify HTTP/1.1\r\nHost: a/b',
    'GET /api/auth/verify HTTP/1.1\r\nHost: a?b#c',
    'GET /api/auth/verify?role=%ff HTTP/1.1\r\nHost: x',
    'GET /api/auth/verify HTTP/1.0',
    'POST /api/auth/verify HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000',
    'POST /api/auth/verify HTTP/1.1\r\nHost: x\r\nContent-Length: 30\r\nContent-Type: application/json',
    'POST /api/auth/verify HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked',
  ]
  const statuses = await Promise.all(heads.map((head) => statusOf(hostname, Number(port), head)))
  await server.stop()
  expect(statuses).toEqual(heads.map(() => '401'))
})

/** Returns the status of the response to a request of which only the head is sent. */
function statusOf(hostname: string, port: number, head: string): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>()
  let text = ''
  Bun.connect({
    hostname,
    port,
    socket: {
      open: (socket) => void socket.write(`${head}\r\n\r\n`),
      data(socket, bytes) {
        text += bytes.toString()
        const status = /^HTTP\/1\.\d (\d{3})/.exec(text)?.[1]
        if (status === undefined) return
        resolve(status)
        socket.end()
      },
      close: () => resolve('closed'),
    },
  })
  return promise
}
