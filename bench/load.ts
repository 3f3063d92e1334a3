/**
 * A load generator in its own process: `bun bench/load.ts PORT CONNECTIONS SECONDS < request`.
 * Keep-alive, one request in flight per connection. Prints one line of JSON.
 */
const [port = '', connections = '', seconds = ''] = process.argv.slice(2)
const request = Buffer.from(await Bun.stdin.arrayBuffer())
const latencies: number[] = []
let refused = 0

const deadline = performance.now() + Number(seconds) * 1000
const started = performance.now()
await Promise.all(Array.from({ length: Number(connections) }, runConnection))
const elapsed = (performance.now() - started) / 1000

latencies.sort((a, b) => a - b)
const percentile = (p: number) => latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * p))] ?? 0
console.log(
  JSON.stringify({ perSecond: latencies.length / elapsed, p50: percentile(0.5), p99: percentile(0.99), refused }),
)

async function runConnection(): Promise<void> {
  const { promise: ended, resolve } = Promise.withResolvers<void>()
  let sentAt = 0
  let received = ''
  await Bun.connect({
    hostname: '127.0.0.1',
    port: Number(port),
    socket: {
      open: (socket) => send(socket),
      data(socket, bytes) {
        received += bytes.toString('latin1')
        const head = received.indexOf('\r\n\r\n')
        if (head < 0) return
        const length = Number(/content-length: (\d+)/i.exec(received)?.[1] ?? 0)
        if (received.length < head + 4 + length) return
        if (!received.startsWith('HTTP/1.1 200')) refused++
        received = ''
        latencies.push(performance.now() - sentAt)
        if (performance.now() < deadline) send(socket)
        else socket.end()
      },
      close: () => resolve(),
      error: () => resolve(),
    },
  })
  await ended

  function send(socket: Bun.Socket): void {
    sentAt = performance.now()
    socket.write(request)
  }
}

export {}
