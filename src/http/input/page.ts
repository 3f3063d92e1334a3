import { type TSchema, t } from 'elysia'
import type { Cursor } from './cursor.ts'

export const limitPattern = '^([1-9][0-9]?|100)$'

/** The query parameters of a list that is returned in pages. */
export const pageParameters = {
  limit: t.Optional(t.String({ pattern: limitPattern, description: '1 to 100. Defaults to 50.' })),
  after: t.Optional(t.String({ maxLength: 300, description: 'The `next` value of the previous page.' })),
}

/** Throws `invalid_fields` for an `after` that no page has returned. */
export function readPage<Position>(
  { limit = '50', after }: { readonly limit?: string; readonly after?: string },
  cursor: Cursor<Position>,
): { readonly limit: number; readonly after: Position | undefined } {
  return { limit: Number(limit), after: after === undefined ? undefined : cursor.read(after) }
}

/** Returns the schema of a page. */
export function pageOf<Item extends TSchema>(item: Item) {
  return t.Object({ items: t.Array(item), next: t.Union([t.String(), t.Null()]) })
}

/** Returns a page with the cursor of the next one, or null on the last page. */
export function toPage<Item, Position>(items: Item[], next: Position | undefined, cursor: Cursor<Position>) {
  return { items, next: next === undefined ? null : cursor.write(next) }
}
