import { isInCalendar } from '../../calendar.ts'
import { AppError } from '../../error.ts'

/** Where a page of a list that is in the order of time ends. */
export interface MomentCursor {
  readonly moment: Date
  readonly id: string
}

const format = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) ([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/

/** Opaque to clients: what the next page takes as `after`. */
export function writeMomentCursor({ moment, id }: MomentCursor): string {
  return Buffer.from(`${moment.toISOString()} ${id}`).toString('base64url')
}

/** Throws `invalid_fields` for what no list has given out. */
export function readMomentCursor(after: string): MomentCursor {
  const [, text = '', id = ''] = format.exec(Buffer.from(after, 'base64url').toString()) ?? []
  if (id === '' || !isInCalendar(text) || new Date(text).toISOString() !== text)
    throw new AppError('invalid_fields', 'The `after` parameter must be the `next` value of a page of this list.')
  return { moment: new Date(text), id }
}
