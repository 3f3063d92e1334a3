/** The bytes received over one connection, and whether the server closed it. */
export interface RawAnswer {
  readonly text: string
  readonly statuses: readonly number[]
  readonly isClosed: boolean
  /** Milliseconds until it was closed or the wait ended. */
  readonly took: number
}

export interface RawOptions {
  /** Waits until the server has been silent this long after the responses. Milliseconds. */
  readonly silence?: number
  /** How many responses to wait for. */
  readonly responses?: number
  /** Waits at most this long for the server to close. Milliseconds. */
  readonly untilClosed?: number
  /** Sent repeatedly at this interval in milliseconds until the connection is closed. */
  readonly trickle?: { readonly bytes: string; readonly every: number }
}

/** Milliseconds within which a healthy server responds, even on a slow machine. */
const patience = 60_000

/** Writes raw bytes to 127.0.0.1 and collects the response. Text is written as Latin-1. */
export async function sendRaw(
  port: number,
  bytes: string | Uint8Array,
  { silence = 100, responses = 1, untilClosed, trickle }: RawOptions = {},
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
  const text = () => Buffer.concat(chunks).toString('latin1')
  // A slow machine is silent too: only the response to a later request ends the silence.
  const endUnlessDelayed = async () => {
    const received = chunks.length
    await fetch(`http://127.0.0.1:${port}/api/health`).catch(() => {})
    if (chunks.length === received) resolve()
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
        if (untilClosed !== undefined || statusesIn(text()).length < responses) return
        clearTimeout(timer)
        timer = setTimeout(endUnlessDelayed, silence)
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
  // `terminate` calls `close`.
  const closedByServer = isClosed
  if (!isClosed) socket.terminate()
  return { text: text(), statuses: statusesIn(text()), isClosed: closedByServer, took: performance.now() - started }
}

function statusesIn(text: string): number[] {
  return [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status))
}

export interface RawRequest {
  readonly method?: string
  readonly target?: string
  readonly headers?: readonly string[]
  readonly body?: string
}

/** Returns the bytes of a request. Headers are raw lines after Host. */
export function rawRequest({
  method = 'GET',
  target = '/api/health',
  headers = [],
  body = '',
}: RawRequest = {}): string {
  return [`${method} ${target} HTTP/1.1`, 'Host: localhost', ...headers, '', body].join('\r\n')
}
