import { type Blocker, listedRows, type Session } from './blocker.ts'
import type { UsersTable } from './usersTable.ts'

/**
 * Returns the rows that adoption's constraints would reject. Requires the columns of the original.
 */
export async function rowBlockers(session: Session, table: UsersTable): Promise<Blocker[]> {
  return [
    ...(await nullBlockers(session, table)),
    ...(await repeatedIds(session, table)),
    ...(await repeatedNames(session, table)),
  ]
}

/** In this order, since later ones use earlier columns. */
const replacements = (table: UsersTable): readonly (readonly [string, string, string])[] => [
  ['id', 'gen_random_uuid()', ''],
  ['username', `'user-' || left(id::text, 8)`, ''],
  ['hashed_password', `'!'`, ', as of users who sign in elsewhere. "!" is no password: set one later'],
  ['full_name', fitted(table, 'full_name', 'username'), ''],
]

async function nullBlockers(session: Session, table: UsersTable): Promise<Blocker[]> {
  const found: Blocker[] = []
  for (const [column, value, hint] of replacements(table)) {
    if (!table.columns.some(({ name, nullable }) => name === column && nullable)) continue
    const rows = await session.unsafe(`
      SELECT count(*) OVER () AS total, coalesce(id::text, '(no id)') || coalesce(' ' || quote_ident(username), '') AS label
      FROM users WHERE ${column} IS NULL ORDER BY id LIMIT ${listedRows}`)
    if (rows.length === 0) continue
    found.push({
      problem: `${countOf(rows[0]?.total, 'row has', 'rows have')} no ${column} (NULL)${hint}`,
      rows: rows.map(({ label }) => label),
      sql: [`UPDATE ${table.name} SET ${column} = ${value} WHERE ${column} IS NULL;`],
    })
  }
  return found
}

async function repeatedIds(session: Session, { name }: UsersTable): Promise<Blocker[]> {
  const rows = await session.unsafe(`
    SELECT count(*) OVER () AS total, id::text AS id, count(*) AS rows FROM users WHERE id IS NOT NULL
    GROUP BY id HAVING count(*) > 1 ORDER BY id LIMIT ${listedRows}`)
  if (rows.length === 0) return []
  return [
    {
      problem: `${countOf(rows[0]?.total, 'id belongs', 'ids belong')} to several rows`,
      rows: rows.map((row) => `${row.id} (${row.rows} rows)`),
      sql: [
        `UPDATE ${name} AS repeated SET id = gen_random_uuid() FROM (SELECT ctid, row_number() OVER (PARTITION BY id ORDER BY username) AS number FROM ${name}) AS numbered WHERE repeated.ctid = numbered.ctid AND number > 1;`,
      ],
    },
  ]
}

/** Usernames that differ only in case would become one account. The active one keeps its name. */
async function repeatedNames(session: Session, table: UsersTable): Promise<Blocker[]> {
  const { name } = table
  const rows = await session.unsafe(`
    SELECT count(*) OVER () AS total, string_agg(quote_ident(username), ' and ' ORDER BY username, id) AS names,
           string_agg(quote_ident(username) || ' ' || coalesce(id::text, '(no id)'), ', ' ORDER BY username, id) AS labels
    FROM users WHERE username IS NOT NULL
    GROUP BY lower(username COLLATE "C") HAVING count(*) > 1 ORDER BY lower(username COLLATE "C") LIMIT ${listedRows}`)
  const [first] = rows
  if (!first) return []
  const more = Number(first.total) - 1
  const others = more === 0 ? '' : `, and so do ${countOf(more, 'other name', 'other names')}`
  return [
    {
      problem: `the usernames ${first.names} differ only in case${others}. AuditTrail ignores case`,
      rows: rows.map(({ labels }) => labels),
      sql: [
        `UPDATE ${name} AS repeated SET username = ${fitted(table, 'username', 'username', 9)} || '_' || left(id::text, 8) FROM (SELECT ctid, row_number() OVER (PARTITION BY lower(username COLLATE "C") ORDER BY is_active DESC NULLS LAST, id) AS number FROM ${name}) AS numbered WHERE repeated.ctid = numbered.ctid AND number > 1;`,
      ],
    },
  ]
}

/** SQL: the value, cut so that it and so many more characters fit the column. */
function fitted({ columns }: UsersTable, column: string, value: string, more = 0): string {
  const [, width] = /\((\d+)\)$/.exec(columns.find(({ name }) => name === column)?.type ?? '') ?? []
  return width === undefined ? value : `left(${value}, ${Number(width) - more})`
}

function countOf(count: unknown, one: string, many: string): string {
  const number = Number(count)
  return `${number.toLocaleString('en')} ${number === 1 ? one : many}`
}
