import { Duplex } from 'node:stream'

/**
 * Connections for postgres.js's `socket` option, on an engine with a single session. Each
 * connection waits until the previous one is closed and cleaned up.
 */
export interface SessionQueue {
  socket(): Duplex
  /** Delivers bytes to the connection that has the session. */
  receive(bytes: Uint8Array): void
  /** The engine has cleaned up after the session that `send('end')` ended. */
  ended(): void
  /** Closes every connection and fails new ones until `resume`. */
  stop(reason: string): void
  resume(): void
}

type Connection = { duplex: Duplex; buffered: Uint8Array<ArrayBuffer>[] }

const cancelRequest = 80877102

export function sessionQueue(send: (message: Uint8Array<ArrayBuffer> | 'end') => void): SessionQueue {
  const waiting: Connection[] = []
  let current: Connection | undefined
  /** The current connection is closed, but its session is still being cleaned up. */
  let ending = false
  let stopped: string | undefined

  function admit(): void {
    if (current !== undefined) return
    current = waiting.shift()
    for (const bytes of current?.buffered.splice(0) ?? []) send(bytes)
  }

  function socket(): Duplex {
    // Reported at the first write: postgres.js hangs if a stream closes between planning a write
    // and doing it.
    const refusal = stopped === undefined ? undefined : Object.assign(new Error(stopped), { code: 'CONNECTION_CLOSED' })
    const connection: Connection = {
      buffered: [],
      duplex: new Duplex({
        read() {},
        write(chunk: Buffer, _encoding, done) {
          // A copy: the original may be part of a shared pool, and this one is transferred to the
          // thread.
          const bytes = new Uint8Array(chunk)
          if (refusal !== undefined) connection.duplex.destroy(refusal)
          else if (isCancelRequest(chunk))
            connection.duplex.destroy() // The engine cannot be interrupted.
          else if (current === connection) send(bytes)
          else connection.buffered.push(bytes)
          done()
        },
        final(done) {
          done()
          connection.duplex.destroy()
        },
        destroy(error, done) {
          leave(connection)
          done(error)
        },
      }),
    }
    const { duplex } = connection
    // postgres.js reads it, and Duplex does not have it.
    Object.defineProperty(duplex, 'readyState', { get: () => (duplex.destroyed ? 'closed' : 'open') })
    if (refusal === undefined) {
      waiting.push(connection)
      admit()
    }
    return duplex
  }

  function leave(connection: Connection): void {
    const index = waiting.indexOf(connection)
    if (index >= 0) waiting.splice(index, 1)
    if (connection !== current || ending) return
    ending = true
    send('end')
  }

  return {
    socket,
    receive(bytes) {
      if (!ending) current?.duplex.push(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length))
    },
    ended() {
      current = undefined
      ending = false
      admit()
    },
    stop(reason) {
      stopped = reason
      for (const { duplex } of [...waiting]) duplex.destroy()
      current?.duplex.destroy()
    },
    resume() {
      stopped = undefined
    },
  }
}

function isCancelRequest(bytes: Buffer): boolean {
  return bytes.length === 16 && bytes.readInt32BE(0) === 16 && bytes.readInt32BE(4) === cancelRequest
}
