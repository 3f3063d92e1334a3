import { connect, createServer, type Socket } from 'node:net'

/** An address of a database that a failover manager moves to another server. */
export interface MovableAddress {
  readonly port: number
  /** Cuts every connection. Later ones go to that port. */
  moveTo(port: number): void
  stop(): Promise<void>
}

export async function startMovableAddress(firstPort: number): Promise<MovableAddress> {
  const open = new Set<Socket>()
  let targetPort = firstPort
  const server = createServer((client) => {
    const upstream = connect(targetPort, '127.0.0.1')
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      open.add(socket)
      socket
        .on('error', () => {})
        .on('close', () => {
          open.delete(socket)
          other.destroy()
        })
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
    stop: async () => {
      cut()
      server.close()
    },
  }
}
