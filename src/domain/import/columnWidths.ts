import type { ColumnWidths } from '../../db/statements/importStaging.ts'

/** The columns of a new database. Those of an adopted one may be wider. */
export const newColumnWidths: ColumnWidths = { username: 50, full_name: 100, hashed_password: 255 }

type Column = keyof ColumnWidths

export interface WidthCheck {
  /** Returns what is too long in a user. */
  errorsOf(user: Readonly<Record<Column, string>>): string[]
  /** Returns the SQL that makes room for everything that was too long; undefined if nothing was. */
  alterTable(): string | undefined
}

/** `holder` is what holds so many characters, in a message. */
export function createWidthCheck(widths: ColumnWidths, holder: string): WidthCheck {
  const columns = Object.keys(newColumnWidths) as Column[]
  const longest = new Map<Column, number>()
  return {
    errorsOf: (user) =>
      columns.flatMap((column) => {
        const [length, width] = [[...user[column]].length, widths[column]]
        if (width === null || length <= width) return []
        longest.set(column, Math.max(length, longest.get(column) ?? 0))
        return [`${column} has ${length.toLocaleString('en')} characters, and ${holder} holds ${width}`]
      }),
    alterTable: () =>
      longest.size === 0
        ? undefined
        : `ALTER TABLE users ${[...longest].map(([column, length]) => `ALTER COLUMN ${column} TYPE ${typeFor(length)}`).join(', ')};`,
  }
}

function typeFor(length: number): string {
  return length <= 255 ? 'varchar(255)' : 'text'
}
