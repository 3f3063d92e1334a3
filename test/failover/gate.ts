import { connect, createServer, type Socket } from 'node:net'

export interface Gate {
  /** `127.0.0.1:PORT`, where it listens. */
  readonly address: string
  /** Refuses connections and breaks those that are open. */
  shut(): void
  stop(): void
}

/** A network path to a server that can be cut. */
export async function openGate(host: string, port: number): Promise<Gate> {
  const sockets = new Set<Socket>()
  let isShut = false
  const keep = (socket: Socket) => {
    sockets.add(socket)
    socket.on('error', () => {}).on('close', () => sockets.delete(socket))
  }
  const cut = () => {
    for (const socket of sockets) socket.destroy()
  }
  const server = createServer((client) => {
    if (isShut) return void client.destroy()
    const upstream = connect(port, host)
    keep(client)
    keep(upstream)
    client.pipe(upstream).pipe(client)
    client.on('close', () => upstream.destroy())
    upstream.on('close', () => client.destroy())
  })
  const listening = Promise.withResolvers<void>()
  server.listen(0, '127.0.0.1', listening.resolve)
  await listening.promise
  const address = server.address()
  return {
    address: `127.0.0.1:${typeof address === 'object' ? address?.port : ''}`,
    shut: () => {
      isShut = true
      cut()
    },
    stop: () => {
      cut()
      server.close()
    },
  }
}
