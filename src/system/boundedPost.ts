import { AppError } from '../error.ts'

export interface PostResponse {
  readonly status: number
  readonly contentType: string
  readonly body: string
}

export interface PostBounds {
  /** Milliseconds until the last byte of the response. */
  readonly timeout: number
  /** Bytes of the response. */
  readonly maxLength: number
}

export type Post = (url: string, body: string) => Promise<PostResponse>

/**
 * Posts a text to another server. Follows no redirect, and decodes no compression. Throws `refused`
 * for a response beyond the bounds, and `unavailable` if there is none.
 */
export async function boundedPost(
  url: string,
  body: string,
  { timeout, maxLength, userAgent }: PostBounds & { readonly userAgent: string },
): Promise<PostResponse> {
  const aborting = new AbortController()
  const { promise: late, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => {
    aborting.abort()
    reject(new AppError('unavailable', `No response within ${timeout / 1000} seconds.`))
  }, timeout)
  const request = async (): Promise<PostResponse> => {
    const response = await fetch(url, {
      method: 'POST',
      body,
      redirect: 'manual',
      decompress: false,
      // An idle connection that the server closes would fail the next request.
      keepalive: false,
      headers: { 'Content-Type': 'text/plain; charset=utf-8', 'Accept-Encoding': 'identity', 'User-Agent': userAgent },
      signal: aborting.signal,
    })
    const { status, headers } = response
    return { status, contentType: headers.get('content-type') ?? '', body: await readText(response, maxLength) }
  }
  try {
    return await Promise.race([request(), late])
  } catch (error) {
    if (error instanceof AppError) throw error
    const { code, name } = error as NodeJS.ErrnoException
    throw new AppError('unavailable', `The request failed (${/^\w{1,50}$/.test(code ?? '') ? code : name}).`, {
      cause: error,
    })
  } finally {
    clearTimeout(timer)
    aborting.abort()
  }
}

async function readText({ body }: Response, maxLength: number): Promise<string> {
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of body ?? []) {
    length += chunk.length
    if (length > maxLength) throw new AppError('refused', `The response has more than ${maxLength} bytes.`)
    chunks.push(chunk)
  }
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.concat(chunks))
  } catch {
    throw new AppError('refused', 'The response is not UTF-8.')
  }
}
