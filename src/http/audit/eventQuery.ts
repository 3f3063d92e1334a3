import { t } from 'elysia'
import { isTime } from '../../calendar.ts'
import type { EventCriteria, EventSearch, ScanPosition } from '../../domain/history/search.ts'
import { AppError, type FieldError, sentencesOf } from '../../error.ts'
import { isUuid } from '../../uuid.ts'
import { type Cursor, invalidCursor } from '../input/cursor.ts'

const time = (description: string) => t.Optional(t.String({ maxLength: 40, description: `${description} RFC 3339.` }))
const id = (description: string) => t.Optional(t.String({ maxLength: 36, description }))

/** The query parameters that select records. */
export const eventParameters = {
  since: time('Records at or after this time. They are then sorted by time.'),
  until: time('Records before this time. They are then sorted by time.'),
  type: t.Optional(t.String({ maxLength: 64, description: 'Records of this type, such as `login.failed`.' })),
  by: id('Records by this user or API key: its id.'),
  about: id('Records about this user or API key: its id.'),
  user: id('Records by or about this user: their id.'),
  outcome: t.Optional(t.Union([t.Literal('done'), t.Literal('refused')], { description: 'Records of this outcome.' })),
  from_index: t.Optional(t.String({ maxLength: 15, description: 'Records from this index on.' })),
  order: t.Optional(t.Union([t.Literal('newest'), t.Literal('oldest')], { description: 'Defaults to newest first.' })),
}

export interface EventQuery {
  readonly since?: string
  readonly until?: string
  readonly type?: string
  readonly by?: string
  readonly about?: string
  readonly user?: string
  readonly outcome?: string
  readonly from_index?: string
  readonly order?: EventSearch['order']
}

/** Throws `invalid_fields` with every invalid parameter. */
export function readSearch(query: EventQuery): EventSearch {
  const fields = [...errorsOf(query)]
  if (fields.length > 0) throw new AppError('invalid_fields', sentencesOf(fields), { fields })
  const { since, until, type, by, about, user, outcome, from_index, order = 'newest' } = query
  const criteria: EventCriteria = {
    since: since === undefined ? undefined : new Date(since),
    until: until === undefined ? undefined : new Date(until),
    type,
    by,
    about,
    of: user,
    outcome,
    from: from_index === undefined ? undefined : Number(from_index),
  }
  return { criteria, order }
}

function* errorsOf(query: EventQuery): Generator<FieldError> {
  for (const field of ['since', 'until'] as const)
    if (query[field] !== undefined && !isTime(query[field]))
      yield { field, message: 'must be a time such as 2026-01-31T08:00:00Z, with + as %2B' }
  if (query.type !== undefined && !/^[a-z_]+(\.[a-z_]+)*$/.test(query.type))
    yield { field: 'type', message: 'must be the type of an event, such as login.failed' }
  for (const field of ['by', 'about', 'user'] as const)
    if (query[field] !== undefined && !isUuid(query[field])) yield { field, message: 'must be an id, which is a UUID' }
  if (query.from_index !== undefined && !/^\d{1,15}$/.test(query.from_index))
    yield { field: 'from_index', message: 'must be a whole number from 0' }
}

const positionFormat = /^(\d{1,18})(?: (-?\d{1,18}))?$/

/** A position in the log, with its time if records are sorted by it. */
export const eventCursor: Cursor<ScanPosition> = {
  write: ({ index, time }) => Buffer.from(time === null ? index : `${index} ${time}`).toString('base64url'),
  read: (after) => {
    const [, index, time = null] = positionFormat.exec(Buffer.from(after, 'base64url').toString()) ?? []
    if (index === undefined) throw invalidCursor()
    return { index, time }
  },
}
