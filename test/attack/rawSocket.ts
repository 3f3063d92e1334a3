/** What came back over one connection, as bytes, and whether the server closed it. */
export interface RawAnswer {
  readonly text: string
  readonly statuses: readonly number[]
  readonly isClosed: boolean
  /** Milliseconds until it was closed, or until nobody waited any longer. */
  readonly took: number
}

export interface RawOptions {
  /** Waits until the server, once it has said something, has been silent so long. Milliseconds. */
  readonly silence?: number
  /** Waits for the server to close, so long at most. Milliseconds. */
  readonly untilClosed?: number
  /** Sent again and again, so many milliseconds apart, until the connection is closed. */
  readonly trickle?: { readonly bytes: string; readonly every: number }
}

/** Milliseconds within which a server that is well says something. */
const patience = 10_000

/** Writes bytes as they are to 127.0.0.1, and gathers what comes back. A text is written as Latin-1, a unit a byte. */
export async function sendRaw(
  port: number,
  bytes: string | Uint8Array,
  { silence = 100, untilClosed, trickle }: RawOptions = {},
): Promise<RawAnswer> {
  const { promise: done, resolve } = Promise.withResolvers<void>()
  const started = performance.now()
  const chunks: Buffer[] = []
  let isClosed = false
  let timer: Timer | undefined
  const close = () => {
    isClosed = true
    resolve()
  }
  let pending = typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : Buffer.from(bytes)
  const flush = (socket: Bun.Socket) => {
    if (pending.length > 0) pending = pending.subarray(Math.max(0, socket.write(pending)))
  }
  const socket = await Bun.connect({
    hostname: '127.0.0.1',
    port,
    socket: {
      open: flush,
      drain: flush,
      data: (_socket, chunk) => {
        chunks.push(Buffer.from(chunk))
        if (untilClosed !== undefined) return
        clearTimeout(timer)
        timer = setTimeout(resolve, silence)
      },
      close,
      error: close,
    },
  })
  timer = setTimeout(resolve, untilClosed ?? patience)
  const dripping = trickle && setInterval(() => socket.write(trickle.bytes), trickle.every)
  await done
  clearTimeout(timer)
  clearInterval(dripping)
  if (!isClosed) socket.terminate()
  const text = Buffer.concat(chunks).toString('latin1')
  const statuses = [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status))
  return { text, statuses, isClosed, took: performance.now() - started }
}

export interface RawRequest {
  readonly method?: string
  readonly target?: string
  readonly headers?: readonly string[]
  readonly body?: string
}

/** The bytes of a request; the headers are lines as they are, behind a Host. */
export function rawRequest({
  method = 'GET',
  target = '/api/health',
  headers = [],
  body = '',
}: RawRequest = {}): string {
  return [`${method} ${target} HTTP/1.1`, 'Host: localhost', ...headers, '', body].join('\r\n')
}
