import { connect } from 'node:net'

/** A response as received over the wire. */
export interface RawAnswer {
  readonly status: number
  /** The header lines without the date, names in lower case. */
  readonly head: readonly string[]
  readonly body: string
}

/**
 * Sends a raw request that an HTTP client would fix or refuse, and reads until the server closes
 * the connection. Text is sent as Latin-1, one byte per character.
 */
export function sendRaw(origin: string, text: string): Promise<RawAnswer> {
  const { hostname, port } = new URL(origin)
  const { promise, resolve, reject } = Promise.withResolvers<RawAnswer>()
  const chunks: Buffer[] = []
  const socket = connect(Number(port), hostname, () => socket.write(Buffer.from(text, 'latin1')))
  socket.setTimeout(60_000, () => socket.destroy(new Error('no answer within 60 s')))
  socket.on('data', (chunk: Buffer) => chunks.push(chunk))
  socket.on('error', reject)
  socket.on('end', () => resolve(readAnswer(Buffer.concat(chunks).toString('utf8'))))
  return promise
}

/** A request without a body. Each of `lines` is one raw header line. */
export function requestText(method: string, target: string, lines: readonly string[] = []): string {
  return [`${method} ${target} HTTP/1.1`, 'Host: localhost', 'Connection: close', ...lines, '', ''].join('\r\n')
}

function readAnswer(text: string): RawAnswer {
  const at = text.indexOf('\r\n\r\n')
  const head = text.slice(0, at).split('\r\n')
  return {
    status: Number(head[0]?.split(' ')[1]),
    head: head
      .map((line) => line.replace(/^[^:]+:/, (name) => name.toLowerCase()))
      .filter((line) => !line.startsWith('date:')),
    body: text.slice(at + 4),
  }
}
