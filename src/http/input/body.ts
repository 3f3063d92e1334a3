import { AppError } from '../../error.ts'

/** Longest body of any request, in bytes. */
const longestBody = 65_536
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** The media type of a request's body, in lower case and without parameters. A coded body is refused: nobody codes 64 KB. */
export function mediaTypeOf(request: Request, howToSend: string): string {
  if (request.headers.has('content-encoding')) {
    throw new AppError('unsupported_media_type', `${howToSend} Content-Encoding is not supported.`)
  }
  return (request.headers.get('content-type') ?? '').split(';')[0]?.trim().toLowerCase() ?? ''
}

/** Milliseconds within which a body is there as a whole. */
const bodyWithin = 10_000

/**
 * The body's bytes, counted while they come in. Throws `payload_too_large`, `request_timeout` when it is not there within so many
 * milliseconds, and `invalid_request` when the client breaks off.
 */
export async function readBody(request: Request, within = bodyWithin): Promise<Buffer> {
  if (Number(request.headers.get('content-length') ?? 0) > longestBody) throw tooLarge()
  if (request.body === null) return Buffer.alloc(0)
  const reader = request.body.getReader()
  const { promise: late, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(tooSlow(within)), within)
  try {
    return await collect(() => Promise.race([reader.read(), late]))
  } catch (error) {
    reader.cancel().catch(() => {})
    throw error instanceof AppError ? error : malformed('The body is incomplete: the connection was interrupted.')
  } finally {
    clearTimeout(timer)
    reader.releaseLock()
  }
}

/** Whether the rest of a body is still waited for. */
export function isBodyIncomplete(request: Request): boolean {
  return request.body?.locked === true
}

async function collect(read: () => Promise<{ done: boolean; value?: Uint8Array | undefined }>): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  let size = 0
  for (;;) {
    const { value } = await read()
    if (value === undefined) return Buffer.concat(chunks)
    size += value.byteLength
    if (size > longestBody) throw tooLarge()
    chunks.push(value)
  }
}

/** Throws `invalid_request` for bytes that are not UTF-8, where the platform would put U+FFFD and make two texts one. */
export function decodeUtf8(bytes: Buffer): string {
  try {
    return utf8.decode(bytes)
  } catch {
    throw malformed('The body must be UTF-8.')
  }
}

export function malformed(detail: string): AppError {
  return new AppError('invalid_request', detail)
}

function tooLarge(): AppError {
  return new AppError('payload_too_large', `The body is longer than ${longestBody} bytes.`)
}

function tooSlow(within: number): AppError {
  return new AppError('request_timeout', `The body did not arrive within ${Math.ceil(within / 1000)} seconds.`)
}
