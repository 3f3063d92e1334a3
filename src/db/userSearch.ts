import { and, or, type SQL, type SQLWrapper, sql } from 'drizzle-orm'
import { users } from './schema.ts'

/** The characters that separate words, besides blanks. Few, since each costs time per indexed row. */
const separators = ['-', "'", '.', ',', '(', '/', '"', '\t']

/**
 * Matches users whose username starts with a text, or whose full name has a word where it starts,
 * without case. `anywhere`: or who have it anywhere.
 */
export function matches(search: string, anywhere: boolean): SQL | undefined {
  const text = search.trim()
  // A column may have a nondeterministic collation, which LIKE rejects.
  const contains = (column: SQLWrapper) => sql`${column} COLLATE "default" ILIKE '%' || ${escaped(text)} || '%'`
  return or(
    startsUsername(text),
    hasWord(text) ? startsInFullName(text) : undefined,
    anywhere ? contains(users.username) : undefined,
    anywhere ? contains(users.full_name) : undefined,
  )
}

/** Matches by the unique index of usernames. */
export function startsUsername(text: string): SQL {
  return sql`lower(${users.username} COLLATE "C") LIKE lower(${escaped(text.trim())} COLLATE "C") || '%'`
}

/** Matches full names with the words of a text, the last of which may go on, by their index. */
export function hasWordsOf(text: string): SQL {
  if (!hasWord(text)) return sql`false`
  // Words have no apostrophe, so that a backslash is all to escape between them.
  const quoted = sql`replace(array_to_string(${words(sql`${text}`)}, ''' & '''), '\\', '\\\\')`
  return sql`array_to_tsvector(${words(users.full_name)}) @@ ('''' || ${quoted} || ''':*')::tsquery`
}

/** Matches full names with a text at the start of a word, literally. */
export function startsInFullName(search: string): SQL | undefined {
  const text = search.trim()
  const literal = text.replace(/[!-/:-@[-`{-~]/g, '\\$&')
  const boundary = `(^|[ ${separators.join('').replace('-', '\\-')}])`
  return and(hasWordsOf(text), sql`${lowered(users.full_name)} ~ (${boundary} || ${lowered(sql`${literal}`)})`)
}

function escaped(text: string): SQL {
  return sql`${text.replace(/[\\%_]/g, '\\$&')}::text`
}

/**
 * SQL for the words of a text in lower case, by the database's collation, as in the index. Of its
 * first 200 characters, since an index has a limit: only an adopted table has longer names.
 */
function words(text: SQLWrapper): SQL {
  const spaced = separators.reduce(
    (replaced, separator) => sql`replace(${replaced}, ${sql.raw(literalOf(separator))}, ' ')`,
    sql`lower(left(${text}::text, 200) COLLATE "default")`,
  )
  return sql`array_remove(string_to_array(${spaced}, ' '), '')`
}

function literalOf(character: string): string {
  return character === '\t' ? "E'\\t'" : `'${character.replace("'", "''")}'`
}

function lowered(text: SQLWrapper): SQL {
  return sql`lower(${text}::text COLLATE "default")`
}

/** Whether a text is more than separators. */
function hasWord(text: string): boolean {
  return [...text].some((character) => character !== ' ' && !separators.includes(character))
}
