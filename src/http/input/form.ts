import { t } from 'elysia'
import { AppError } from '../../error.ts'
import { decodeUtf8, malformed, mediaTypeOf, readBody } from './body.ts'

/** Reads the body of a route as a form. The media types are for the OpenAPI document. */
export const formBody = {
  parse: [
    ({ request }: { request: Request }) => readForm(request),
    'application/x-www-form-urlencoded' as const,
    'multipart/form-data' as const,
  ],
}

/** An optional field. */
export const optionalField = (description: string, ...examples: string[]) =>
  t.Optional(t.String({ description, examples }))

/** Error codes of every route with a form. */
export const formErrors = ['invalid_request', 'payload_too_large', 'unsupported_media_type', 'unavailable'] as const

const howToSend =
  'Send the fields as a form: Content-Type application/x-www-form-urlencoded (or multipart/form-data without files).'

/**
 * Reads a form strictly: urlencoded, or multipart without files. Throws `payload_too_large`,
 * `unsupported_media_type` with the instructions, and `invalid_request` for anything ambiguous.
 */
export async function readForm(request: Request, instructions = howToSend): Promise<Record<string, string>> {
  const mediaType = mediaTypeOf(request, instructions)
  if (mediaType === 'application/x-www-form-urlencoded') return fromPairs(decodePairs(await readBody(request)))
  if (mediaType === 'multipart/form-data')
    return fromPairs(await decodeMultipart(await readBody(request), request.headers.get('content-type') ?? ''))
  throw new AppError('unsupported_media_type', instructions)
}

/** WHATWG URL §5.1, but rejects a stray % and invalid UTF-8. */
function decodePairs(body: Buffer): [string, string][] {
  return decodeUtf8(body)
    .split('&')
    .filter((pair) => pair !== '')
    .map((pair) => {
      const equals = pair.indexOf('=')
      return equals < 0
        ? [decodePercent(pair), '']
        : [decodePercent(pair.slice(0, equals)), decodePercent(pair.slice(equals + 1))]
    })
}

function decodePercent(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    throw malformed('The form must be percent-encoded UTF-8.')
  }
}

async function decodeMultipart(body: Buffer<ArrayBuffer>, contentType: string): Promise<[string, string][]> {
  // The platform's parser silently replaces invalid UTF-8, so that different passwords become
  // equal.
  decodeUtf8(body)
  const form = await new Response(body, { headers: { 'content-type': contentType } }).formData().catch(() => {
    throw malformed('The form is not valid multipart/form-data.')
  })
  return [...form.entries()].map(([name, value]): [string, string] => {
    if (typeof value !== 'string') throw malformed('Form fields must be text; files are not accepted.')
    return [name, value]
  })
}

/** RFC 6749 §3.2: parameters must not be repeated, and those without a value are omitted. */
function fromPairs(pairs: readonly [string, string][]): Record<string, string> {
  const fields = new Map<string, string>()
  for (const [name, value] of pairs) {
    if (fields.has(name)) throw malformed('Form fields must not be repeated.')
    if (name.includes('\0') || value.includes('\0')) throw malformed('The form must not contain NUL characters.')
    if (!name.isWellFormed() || !value.isWellFormed()) throw malformed('The form must be valid Unicode.')
    fields.set(name, value)
  }
  return Object.fromEntries([...fields].filter(([, value]) => value !== ''))
}
