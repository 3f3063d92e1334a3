import { AppError } from '../error.ts'

/** Longest body of any request, in bytes. */
const longestBody = 65_536
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** The media type of a request's body, in lower case and without parameters. A coded body is refused: nobody codes 64 KB. */
export function mediaTypeOf(request: Request, howToSend: string): string {
  if (request.headers.has('content-encoding')) {
    throw new AppError('unsupported_media_type', `${howToSend} Send it without Content-Encoding.`)
  }
  return (request.headers.get('content-type') ?? '').split(';')[0]?.trim().toLowerCase() ?? ''
}

/** The body's bytes, counted while they come in. Throws `payload_too_large`. */
export async function readBody(request: Request): Promise<Buffer> {
  if (Number(request.headers.get('content-length') ?? 0) > longestBody) throw tooLarge()
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of request.body ?? []) {
    size += chunk.byteLength
    if (size > longestBody) throw tooLarge()
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

/** Throws `invalid_request` for bytes that are not UTF-8, where the platform would put U+FFFD and make two texts one. */
export function decodeUtf8(bytes: Buffer): string {
  try {
    return utf8.decode(bytes)
  } catch {
    throw malformed('The body is not UTF-8.')
  }
}

export function malformed(detail: string): AppError {
  return new AppError('invalid_request', detail)
}

function tooLarge(): AppError {
  return new AppError('payload_too_large', `The body is longer than ${longestBody} bytes.`)
}
