import { and, or, type SQL, type SQLWrapper, sql } from 'drizzle-orm'
import { users } from './schema.ts'

/** Characters that separate words, besides the space. Each costs time for every indexed row. */
const separators = ['-', "'", '.', ',', '(', '/', '"', '\t']

/**
 * Matches users whose username, or a word of whose full name, starts with a text, in any case.
 * `anywhere`: at any position of either.
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

/** Matches usernames that start with a text, by their unique index. */
export function startsUsername(text: string): SQL {
  return sql`lower(${users.username} COLLATE "C") LIKE lower(${escaped(text.trim())} COLLATE "C") || '%'`
}

/** Matches full names that have the words of a text, the last one as a prefix, by their index. */
export function hasWordsOf(text: string): SQL {
  if (!hasWord(text)) return sql`false`
  // Words contain no apostrophe, so only backslashes are escaped.
  const quoted = sql`replace(array_to_string(${words(sql`${text}`)}, ''' & '''), '\\', '\\\\')`
  return sql`array_to_tsvector(${words(users.full_name)}) @@ ('''' || ${quoted} || ''':*')::tsquery`
}

/** Matches full names in which a word starts with the literal text. */
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
 * SQL for the words of a text in lower case, by the database's collation, as in the index. Only the
 * first 200 characters count: index entries are limited, and adopted tables may have longer names.
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

/** Returns whether a text has more than separators. */
function hasWord(text: string): boolean {
  return [...text].some((character) => character !== ' ' && !separators.includes(character))
}
