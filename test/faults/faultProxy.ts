import { connect, createServer, type Socket } from 'node:net'

/**
 * pass: forwards. hang: accepts and never responds. silent: the same, for new connections only.
 * close: closes new connections after their first bytes, and open ones now. cut: closes after half
 * a response. half: forwards half a response, then nothing. A number: milliseconds of delay.
 */
export type Fault = 'pass' | 'hang' | 'silent' | 'close' | 'cut' | 'half' | number

export interface FaultProxy {
  readonly port: number
  /** Connections accepted so far. */
  readonly connections: number
  be(fault: Fault): void
  /** Carries nothing more on the connections that are open now, without a word. */
  forget(): void
  stop(): Promise<void>
}

/** An unreliable network in front of a local server. */
export async function startFaultProxy(targetPort: number): Promise<FaultProxy> {
  const open = new Set<Socket>()
  const forgotten = new WeakSet<Socket>()
  let fault: Fault = 'pass'
  let connections = 0
  const server = createServer((client) => {
    connections++
    open.add(client)
    client.on('error', () => {}).on('close', () => open.delete(client))
    if (fault === 'hang' || fault === 'silent') return void client.resume()
    if (fault === 'close') return void client.once('data', () => client.end())
    const upstream = connect(targetPort, '127.0.0.1')
    let isHeld = false
    // Bytes never overtake earlier ones, as in TCP.
    let sent: Promise<unknown> | undefined
    const send = (bytes: Buffer, delay: number) => {
      if (delay === 0 && !sent) return void client.write(bytes)
      const due = Promise.all([sent, Bun.sleep(delay)]).then(() => {
        client.write(bytes)
        if (sent === due) sent = undefined
      })
      sent = due
    }
    upstream.on('error', () => client.destroy()).on('close', () => client.destroy())
    client.on('close', () => upstream.destroy())
    client.on('data', (bytes) => {
      // A connection that has met a hanging network keeps hanging.
      if (fault === 'hang') isHeld = true
      if (!isHeld && !forgotten.has(client)) upstream.write(bytes)
    })
    upstream.on('data', (bytes: Buffer) => {
      if (isHeld || forgotten.has(client)) return
      if (fault === 'cut' || fault === 'half') {
        client.write(bytes.subarray(0, Math.ceil(bytes.length / 2)))
        isHeld = true
        if (fault === 'cut') client.end()
      } else send(bytes, typeof fault === 'number' ? fault : 0)
    })
  })
  const listening = Promise.withResolvers<void>()
  server.listen(0, '127.0.0.1', listening.resolve)
  await listening.promise
  const address = server.address()
  return {
    port: typeof address === 'object' && address ? address.port : 0,
    get connections() {
      return connections
    },
    be(next) {
      fault = next
      if (next === 'close') for (const socket of open) socket.end()
    },
    forget() {
      for (const socket of open) forgotten.add(socket)
    },
    stop: async () => {
      for (const socket of open) socket.destroy()
      server.close()
    },
  }
}
