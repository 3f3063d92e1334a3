import type { TProperties } from '@sinclair/typebox'
import { t } from 'elysia'
import { AppError } from '../../error.ts'

/**
 * Returns the options of a route with query parameters. It throws `invalid_request`, after the
 * guard, for a repeated one unless its schema is an array. Ignores unknown ones, such as those of
 * analytics.
 */
export function queryParameters<Properties extends TProperties>(properties: Properties) {
  const single = Object.keys(properties).filter((name) => properties[name]?.type !== 'array')
  return {
    query: t.Object(properties),
    transform: ({ request }: { request: Request }) => rejectRepetition(request.url, single),
  }
}

/** Elysia would use the last value, and a proxy in front may have checked the first. */
function rejectRepetition(url: string, names: readonly string[]): void {
  const start = url.indexOf('?')
  if (start < 0) return
  const parameters = new URLSearchParams(url.slice(start))
  const repeated = names.filter((name) => parameters.getAll(name).length > 1)
  if (repeated.length === 0) return
  throw new AppError('invalid_request', `Query parameters must not be repeated: ${repeated.join(', ')}.`, {
    fields: repeated.map((field) => ({ field, message: 'must not be repeated' })),
  })
}
