import { isUtf8 } from 'node:buffer'
import { isInCalendar } from '../../calendar.ts'
import { AppError } from '../../error.ts'

/** Converts where a page of a list ends to the text that clients pass as `after`, and back. */
export interface Cursor<Position> {
  write(position: Position): string
  /** Throws `invalid_fields` for a text that no list has returned. */
  read(after: string): Position
}

/** For lists in the order of a text, such as a name. */
export const textCursor: Cursor<string> = {
  write: (text) => Buffer.from(text).toString('base64url'),
  read: (after) => {
    const bytes = Buffer.from(after, 'base64url')
    if (!isUtf8(bytes) || bytes.includes(0)) throw invalidCursor()
    return bytes.toString()
  },
}

const timeFormat = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) ([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/

type TimePosition<Name extends string> = { readonly [N in Name]: Date } & { readonly id: string }

/** For lists in the order of the time `name`, and of ids where that is the same. */
export function timeCursor<Name extends string>(name: Name): Cursor<TimePosition<Name>> {
  return {
    write: (position) => textCursor.write(`${position[name].toISOString()} ${position.id}`),
    read: (after) => {
      const [, time = '', id = ''] = timeFormat.exec(Buffer.from(after, 'base64url').toString()) ?? []
      if (id === '' || !isInCalendar(time) || new Date(time).toISOString() !== time) throw invalidCursor()
      return { [name]: new Date(time), id } as TimePosition<Name>
    },
  }
}

export function invalidCursor(): AppError {
  const message = 'must be the `next` value of a page of this list'
  return new AppError('invalid_fields', `The field after ${message}.`, { fields: [{ field: 'after', message }] })
}
