import { refreshRequest } from './requests.ts'

/**
 * A load generator in its own process: `bun bench/load/closedLoop.ts < options`. Keep-alive, one
 * request in flight per connection. Prints one line of JSON.
 */
export interface ClosedLoop {
  readonly port: number
  readonly connections: number
  readonly seconds: number
  /** Raw requests, sent in turn. */
  readonly requests: readonly string[]
  /**
   * Instead: one refresh token per connection, which the next request replaces by its successor.
   */
  readonly refreshTokens?: readonly string[]
}

const { port, connections, seconds, requests, refreshTokens }: ClosedLoop = await Bun.stdin.json()
const encoded = requests.map((request) => Buffer.from(request))
const latencies: number[] = []
let refused = 0
let sent = 0

const started = performance.now()
const deadline = started + seconds * 1000
const nextTokens = await Promise.all(
  Array.from({ length: connections }, (_, index) => runConnection(refreshTokens?.[index])),
)
const elapsed = (performance.now() - started) / 1000

latencies.sort((a, b) => a - b)
const percentile = (p: number) => latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * p))] ?? 0
const mean = latencies.reduce((sum, latency) => sum + latency, 0) / latencies.length
console.log(
  JSON.stringify({
    count: latencies.length,
    perSecond: latencies.length / elapsed,
    mean,
    p50: percentile(0.5),
    p99: percentile(0.99),
    refused,
    refreshTokens: nextTokens.filter((token) => token !== undefined),
  }),
)

/** Returns the refresh token that is valid at the end. */
async function runConnection(refreshToken: string | undefined): Promise<string | undefined> {
  const { promise: ended, resolve } = Promise.withResolvers<void>()
  let token = refreshToken
  let sentAt = 0
  let received = ''
  await Bun.connect({
    hostname: '127.0.0.1',
    port,
    socket: {
      open: (socket) => send(socket),
      data(socket, bytes) {
        received += bytes.toString('latin1')
        const head = received.indexOf('\r\n\r\n')
        if (head < 0) return
        const length = Number(/content-length: (\d+)/i.exec(received)?.[1] ?? 0)
        if (received.length < head + 4 + length) return
        latencies.push(performance.now() - sentAt)
        if (!received.startsWith('HTTP/1.1 2')) refused++
        else if (token !== undefined) token = JSON.parse(received.slice(head + 4)).refresh_token
        received = ''
        if (performance.now() < deadline) send(socket)
        else socket.end()
      },
      close: () => resolve(),
      error: () => resolve(),
    },
  })
  await ended
  return token

  function send(socket: Bun.Socket): void {
    const request = token === undefined ? encoded[sent++ % encoded.length] : refreshRequest(token)
    sentAt = performance.now()
    if (request !== undefined) socket.write(request)
  }
}
