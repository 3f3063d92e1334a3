import { afterAll, describe, expect, test } from 'bun:test'
import { connect } from 'node:net'
import { listen } from '../../src/http/edge/listener.ts'

/** Bun checks connections every four seconds. */
const granularity = 4
const large = Buffer.alloc(32 * 1024 * 1024, 'x')

/** Real kernel timers, shortened. The real ones are 30 s and 75 s. */
describe('an idle connection', () => {
  const timeouts = { unanswered: 4, answered: 24 }
  const respond = (request: Request) => new Response(request.url.endsWith('/small') ? 'ok' : large)
  const listener = listen({ host: '127.0.0.1', port: 0 }, respond, timeouts)
  afterAll(() => listener.stop())

  /** Returns when the server closed the connection, and how much it had sent. */
  function untilClosed(text: string, isReading = true): Promise<{ seconds: number; bytes: number }> {
    const { promise, resolve } = Promise.withResolvers<{ seconds: number; bytes: number }>()
    const socket = connect(listener.port, '127.0.0.1')
    const since = performance.now()
    let bytes = 0
    socket.on('connect', () => socket.write(text))
    socket.on('data', (chunk) => {
      bytes += chunk.length
    })
    if (!isReading) {
      socket.pause()
      // A paused socket does not notice that the server has given up.
      setTimeout(() => socket.resume(), (timeouts.unanswered + 2 * granularity) * 1000)
    }
    socket.on('error', () => {})
    socket.on('close', () => resolve({ seconds: (performance.now() - since) / 1000, bytes }))
    return promise
  }

  test('stays open for a while after a response, and no longer without one', async () => {
    const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`
    const [answered, silent, partial, unread] = await Promise.all([
      untilClosed(get('/small')),
      untilClosed(''),
      untilClosed('GET / HT'),
      untilClosed(get('/docs/script.js'), false),
    ])
    expect(answered.seconds).toBeGreaterThan(timeouts.answered - granularity)
    for (const { seconds } of [silent, partial]) expect(seconds).toBeLessThan(timeouts.answered - granularity)
    expect(unread.bytes).toBeGreaterThan(0)
    expect(unread.bytes).toBeLessThan(large.length)
  })
})
