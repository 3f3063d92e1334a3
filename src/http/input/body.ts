import { AppError } from '../../error.ts'

/** In bytes. */
const maxBodyLength = 65_536
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * Returns the media type in lower case, without parameters. Throws `unsupported_media_type` for a
 * body with Content-Encoding.
 */
export function mediaTypeOf(request: Request, howToSend: string): string {
  if (request.headers.has('content-encoding')) {
    throw new AppError('unsupported_media_type', `${howToSend} Content-Encoding is not supported.`)
  }
  return (request.headers.get('content-type') ?? '').split(';')[0]?.trim().toLowerCase() ?? ''
}

/** Milliseconds. */
const bodyTimeout = 10_000

/**
 * Returns the body. Throws `payload_too_large`, `request_timeout` if the body takes longer than
 * `timeout` milliseconds, and `invalid_request` if the connection is interrupted.
 */
export async function readBody(request: Request, timeout = bodyTimeout): Promise<Buffer<ArrayBuffer>> {
  if (Number(request.headers.get('content-length') ?? 0) > maxBodyLength) throw tooLarge()
  if (request.body === null) return Buffer.alloc(0)
  const reader = request.body.getReader()
  const { promise: late, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(tooSlow(timeout)), timeout)
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

/** Returns whether the server still waits for a part of the body. */
export function isBodyIncomplete(request: Request): boolean {
  return request.body?.locked === true
}

async function collect(
  read: () => Promise<{ done: boolean; value?: Uint8Array | undefined }>,
): Promise<Buffer<ArrayBuffer>> {
  const chunks: Uint8Array[] = []
  let size = 0
  for (;;) {
    const { value } = await read()
    if (value === undefined) return Buffer.concat(chunks)
    size += value.byteLength
    if (size > maxBodyLength) throw tooLarge()
    chunks.push(value)
  }
}

/** Throws `invalid_request` for invalid UTF-8. As U+FFFD, different texts would become equal. */
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
  return new AppError('payload_too_large', `The body is longer than ${maxBodyLength} bytes.`)
}

function tooSlow(timeout: number): AppError {
  return new AppError('request_timeout', `The body did not arrive within ${Math.ceil(timeout / 1000)} seconds.`)
}
