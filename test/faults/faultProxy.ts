import { connect, createServer, type Socket } from 'node:net'

/**
 * pass: hands on. hang: accepts and never answers. close: closes each new connection once it has sent something, and cuts the
 * others. cut: breaks a connection off in the middle of an answer. half: hands on half an answer, and then nothing. A number:
 * milliseconds by which each answer is late.
 */
export type Fault = 'pass' | 'hang' | 'close' | 'cut' | 'half' | number

export interface FaultProxy {
  readonly port: number
  /** Connections that were made so far. */
  readonly connections: number
  be(fault: Fault): void
  stop(): Promise<void>
}

/** A bad network in front of a server on this machine. */
export async function startFaultProxy(targetPort: number): Promise<FaultProxy> {
  const open = new Set<Socket>()
  let fault: Fault = 'pass'
  let connections = 0
  const server = createServer((client) => {
    connections++
    open.add(client)
    client.on('error', () => {}).on('close', () => open.delete(client))
    if (fault === 'hang') return void client.resume()
    if (fault === 'close') return void client.once('data', () => client.end())
    const upstream = connect(targetPort, '127.0.0.1')
    let isHeld = false
    upstream.on('error', () => client.destroy()).on('close', () => client.destroy())
    client.on('close', () => upstream.destroy())
    client.on('data', (bytes) => {
      // A connection that has met a hanging network stays with it.
      if (fault === 'hang') isHeld = true
      if (!isHeld) upstream.write(bytes)
    })
    upstream.on('data', (bytes: Buffer) => {
      if (isHeld) return
      if (fault === 'cut' || fault === 'half') {
        client.write(bytes.subarray(0, Math.ceil(bytes.length / 2)))
        isHeld = true
        if (fault === 'cut') client.end()
      } else if (typeof fault === 'number') setTimeout(() => client.write(bytes), fault)
      else client.write(bytes)
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
    stop: async () => {
      for (const socket of open) socket.destroy()
      server.close()
    },
  }
}
