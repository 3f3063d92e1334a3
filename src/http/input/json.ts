import type { TObject } from '@sinclair/typebox'
import { AppError } from '../../error.ts'
import { shapeOfJson } from '../../jsonShape.ts'
import { nearMiss } from '../../nearMiss.ts'
import { decodeUtf8, malformed, mediaTypeOf, readBody } from './body.ts'

/** Reads the body of a route as a JSON object. Rejects members that are not in the schema. */
export function jsonBody<Schema extends TObject>(schema: Schema) {
  const names = Object.keys(schema.properties)
  // The media type after the parser is for the OpenAPI document.
  return {
    parse: [({ request }: { request: Request }) => readObject(request, names), 'application/json' as const],
    body: schema,
  }
}

/** Error codes of every route with a JSON body. */
export const jsonErrors = ['invalid_request', 'payload_too_large', 'unsupported_media_type', 'invalid_fields'] as const

/** Elysia would silently drop unknown members, which hides typos. */
async function readObject(request: Request, names: readonly string[]): Promise<unknown> {
  const value = await readJson(request)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new AppError('invalid_fields', 'The body must be a JSON object.')
  }
  const unknown = Object.keys(value).filter((name) => !names.includes(name))
  if (unknown.length > 0) throw unknownMember(unknown, names)
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, withoutMembers(member)]))
}

/**
 * Empties nested objects, which no schema accepts. Elysia turns invalid values into text, and
 * throws if one has a member `toString`.
 */
function withoutMembers(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutMembers)
  return typeof value === 'object' && value !== null ? {} : value
}

/** Names only members of the schema: the unknown one may be anything. */
function unknownMember(unknown: readonly string[], names: readonly string[]): AppError {
  const meant = unknown.map((name) => nearMiss(name, names)).find((name) => name !== undefined)
  const hint = meant === undefined ? '' : ` Did you mean ${meant}?`
  return new AppError(
    'invalid_fields',
    `The body has an unknown member.${hint} Allowed members: ${names.join(', ')}.`,
    meant === undefined ? {} : { fields: [{ field: meant, message: 'is misspelled' }] },
  )
}

const howToSend = 'Send the body as JSON: Content-Type application/json.'
const maxDepth = 8

/**
 * Reads a JSON body strictly (RFC 8259; I-JSON: RFC 7493 §2.1, §2.3). Throws
 * `unsupported_media_type`, `payload_too_large`, and `invalid_request` for syntax errors, invalid
 * Unicode, NUL, repeats and depth.
 */
export async function readJson(request: Request): Promise<unknown> {
  if (mediaTypeOf(request, howToSend) !== 'application/json') throw new AppError('unsupported_media_type', howToSend)
  const text = decodeUtf8(await readBody(request))
  const value = parse(text)
  checkShape(text)
  checkTexts(value)
  return value
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw malformed('The body is not valid JSON.')
  }
}

function checkShape(text: string): void {
  const { depth, repeatsMember } = shapeOfJson(text)
  if (depth > maxDepth) throw malformed(`The body must not be nested more than ${maxDepth} levels deep.`)
  if (repeatsMember) throw malformed('Members of a JSON object must not be repeated.')
}

function checkTexts(value: unknown): void {
  if (typeof value === 'string') {
    if (value.includes('\0')) throw malformed('The body must not contain NUL characters.')
    if (!value.isWellFormed()) throw malformed('The body must be valid Unicode.')
  } else if (typeof value === 'object' && value !== null) {
    for (const [name, member] of Object.entries(value)) {
      checkTexts(name)
      checkTexts(member)
    }
  }
}
