import type { TObject } from '@sinclair/typebox'
import { AppError } from '../../error.ts'
import { malformed, mediaTypeOf } from './body.ts'
import { readForm } from './form.ts'
import { readJson } from './json.ts'

const howToSend =
  'Send the fields as a form (Content-Type application/x-www-form-urlencoded, or multipart/form-data without files) ' +
  'or as JSON (Content-Type application/json).'

/**
 * Reads the body of a route as a form or as the same fields in JSON. The media types are for the
 * OpenAPI document.
 */
export function formOrJsonBody<Schema extends TObject>(schema: Schema) {
  const names = Object.keys(schema.properties)
  return {
    parse: [
      ({ request }: { request: Request }) => readFormOrJson(request, names),
      'application/x-www-form-urlencoded' as const,
      'multipart/form-data' as const,
      'application/json' as const,
    ],
    body: schema,
  }
}

async function readFormOrJson(request: Request, names: readonly string[]): Promise<Record<string, string>> {
  return mediaTypeOf(request, howToSend) === 'application/json'
    ? textMembers(await readJson(request), names)
    : readForm(request, howToSend)
}

/** Returns the named members. Ignores others, as in a form. Throws `invalid_request`. */
function textMembers(value: unknown, names: readonly string[]): Record<string, string> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw malformed('The body must be a JSON object.')
  const members = Object.entries(value).filter(([name]) => names.includes(name))
  return Object.fromEntries(members.map(([name, member]) => [name, requireText(name, member)]))
}

function requireText(field: string, value: unknown): string {
  if (typeof value === 'string' && value !== '') return value
  const message = value === '' ? 'must not be empty' : 'must be a string'
  throw new AppError('invalid_request', `The field ${field} ${message}.`, { fields: [{ field, message }] })
}
