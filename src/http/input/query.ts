import type { TProperties } from '@sinclair/typebox'
import { t } from 'elysia'
import { AppError } from '../../error.ts'

/** Of every list that comes in pages. */
export const pageParameters = {
  limit: t.Optional(t.String({ pattern: '^([1-9][0-9]?|100)$', description: '1 to 100. Defaults to 50.' })),
  after: t.Optional(t.String({ maxLength: 300, description: 'The `next` value of the previous page.' })),
}

/**
 * The query parameters of a route: each at most once, but those whose schema is an array. Others are ignored, as proxies, caches
 * and analytics add some of their own. Refuses after the guard, with `invalid_request`.
 */
export function queryParameters<Properties extends TProperties>(properties: Properties) {
  const single = Object.keys(properties).filter((name) => properties[name]?.type !== 'array')
  return {
    query: t.Object(properties),
    transform: ({ request }: { request: Request }) => refuseRepetition(request.url, single),
  }
}

/** Elysia would take the last of them, where a proxy in front may have judged by the first. */
function refuseRepetition(url: string, names: readonly string[]): void {
  const start = url.indexOf('?')
  if (start < 0) return
  const given = new URLSearchParams(url.slice(start))
  const repeated = names.filter((name) => given.getAll(name).length > 1)
  if (repeated.length === 0) return
  throw new AppError('invalid_request', `Query parameters must not be repeated: ${repeated.join(', ')}.`, {
    fields: repeated.map((field) => ({ field, message: 'must not be repeated' })),
  })
}
