import { connect, createServer, type Socket } from 'node:net'

/** An address of a database that a failover manager moves to another server. */
export interface MovableAddress {
  readonly port: number
  /** Cuts every connection. Later ones go to that port. */
  moveTo(port: number): void
  /** As `moveTo`, but the connections to the former server stay open. */
  moveNewTo(port: number): void
  stop(): Promise<void>
}

export async function startMovableAddress(firstPort: number): Promise<MovableAddress> {
  const open = new Set<Socket>()
  let targetPort = firstPort
  // As a network does, it passes on that one end has closed, and not more.
  const server = createServer({ allowHalfOpen: true }, (client) => {
    const upstream = connect({ port: targetPort, host: '127.0.0.1', allowHalfOpen: true })
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      open.add(socket)
      socket.on('error', () => other.destroy()).on('close', () => open.delete(socket))
      socket.pipe(other)
    }
  })
  const listening = Promise.withResolvers<void>()
  server.listen(0, '127.0.0.1', listening.resolve)
  await listening.promise
  const address = server.address()
  const cut = () => {
    for (const socket of open) socket.destroy()
  }
  return {
    port: typeof address === 'object' && address ? address.port : 0,
    moveTo: (port) => {
      targetPort = port
      cut()
    },
    moveNewTo: (port) => {
      targetPort = port
    },
    stop: async () => {
      cut()
      server.close()
    },
  }
}
