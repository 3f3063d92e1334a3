import type { TObject } from '@sinclair/typebox'
import { AppError } from '../../error.ts'
import { shapeOfJson } from '../../jsonShape.ts'
import { decodeUtf8, malformed, mediaTypeOf, readBody } from './body.ts'

/** What a route with a JSON body needs: its reader, which refuses members that the schema does not name, and the schema. */
export function jsonBody<Schema extends TObject>(schema: Schema) {
  const names = Object.keys(schema.properties)
  // The media type behind the reader is for the document.
  return {
    parse: [({ request }: { request: Request }) => readObject(request, names), 'application/json' as const],
    body: schema,
  }
}

/** Ways in which every route with a JSON body can refuse. */
export const jsonRefusals = [
  'invalid_request',
  'payload_too_large',
  'unsupported_media_type',
  'invalid_fields',
] as const

/** Elysia would drop what a schema does not name, and whoever misspelt a member would not hear of it. */
async function readObject(request: Request, names: readonly string[]): Promise<unknown> {
  const value = await readJson(request)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new AppError('invalid_fields', 'The body must be a JSON object.')
  }
  const unknown = Object.keys(value).filter((name) => !names.includes(name))
  if (unknown.length > 0)
    throw new AppError('invalid_fields', `The body has an unknown member. Allowed members: ${names.join(', ')}.`)
  return value
}

const howToSend = 'Send the body as JSON: Content-Type application/json.'
const deepest = 8

/**
 * Reads a JSON body strictly (RFC 8259, and I-JSON: RFC 7493 §2.1, §2.3). Throws `unsupported_media_type`,
 * `payload_too_large`, and `invalid_request` for bad syntax, text that is not Unicode, NUL, a repeated member, too deep a nest.
 */
async function readJson(request: Request): Promise<unknown> {
  if (mediaTypeOf(request, howToSend) !== 'application/json') throw new AppError('unsupported_media_type', howToSend)
  const text = decodeUtf8(await readBody(request))
  const value = parse(text)
  refuseDepthAndRepetition(text)
  refuseOddText(value)
  return value
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw malformed('The body is not valid JSON.')
  }
}

function refuseDepthAndRepetition(text: string): void {
  const { depth, repeatsMember } = shapeOfJson(text)
  if (depth > deepest) throw malformed(`The body must not be nested more than ${deepest} levels deep.`)
  if (repeatsMember) throw malformed('Members of a JSON object must not be repeated.')
}

function refuseOddText(value: unknown): void {
  if (typeof value === 'string') {
    if (value.includes('\0')) throw malformed('The body must not contain NUL characters.')
    if (!value.isWellFormed()) throw malformed('The body must be valid Unicode.')
  } else if (typeof value === 'object' && value !== null) {
    for (const [name, member] of Object.entries(value)) {
      refuseOddText(name)
      refuseOddText(member)
    }
  }
}
