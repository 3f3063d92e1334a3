import type { Session } from './blocker.ts'

export interface Column {
  readonly name: string
  /** PostgreSQL's own name: `uuid`, `character varying(50)`. */
  readonly type: string
  readonly nullable: boolean
  readonly hasDefault: boolean
  readonly isGenerated: boolean
}

/** The relation that the search path finds as `users`. */
export interface UsersTable {
  /** Qualified and quoted, for SQL. */
  readonly name: string
  readonly kind: 'table' | 'partitioned table' | 'view' | 'materialized view' | 'foreign table'
  readonly isUnlogged: boolean
  /** Tables that inherit from it, qualified and quoted. */
  readonly children: readonly string[]
  readonly owner: string
  readonly ownerIsSuperuser: boolean
  /** The role of the connection may alter it. */
  readonly isOwned: boolean
  readonly isReadable: boolean
  readonly columns: readonly Column[]
}

const kinds: Readonly<Record<string, UsersTable['kind']>> = {
  r: 'table',
  p: 'partitioned table',
  v: 'view',
  m: 'materialized view',
  f: 'foreign table',
}

/** The most characters of our own values: argon2id hashes have about 100. */
export const widths: Readonly<Record<string, number>> = { username: 50, hashed_password: 255, full_name: 100 }

/** Returns the columns that are too narrow, with the type that adoption gives them. */
export function narrowColumns(columns: readonly Column[]): readonly { readonly name: string; readonly type: string }[] {
  return columns.flatMap(({ name, type }) => {
    const [, width] = /\((\d+)\)$/.exec(type) ?? []
    const needed = widths[name]
    return width !== undefined && needed !== undefined && Number(width) < needed
      ? [{ name, type: `varchar(${needed})` }]
      : []
  })
}

/**
 * Returns whether the search path finds a table. Reads the catalog: to_regclass() uses a cache that
 * a wait for another transaction does not refresh.
 */
export async function hasTable(session: Session, name: string): Promise<boolean> {
  const rows =
    await session`SELECT FROM pg_class WHERE relname = ${name} AND relkind IN ('r', 'p') AND pg_table_is_visible(oid)`
  return rows.length > 0
}

/** Returns undefined if the search path finds no relation `users`. */
export async function findUsersTable(session: Session): Promise<UsersTable | undefined> {
  const [row] = await session`
    SELECT pg_class.oid::text AS oid, format('%I.%I', nspname, relname) AS name, relkind AS kind, relpersistence = 'u' AS is_unlogged,
           (SELECT coalesce(json_agg(inhrelid::regclass::text), '[]')::text FROM pg_inherits
            WHERE inhparent = pg_class.oid) AS children,
           rolname AS owner, rolsuper AS owner_is_superuser,
           pg_has_role(relowner, 'USAGE') AS is_owned, has_table_privilege(pg_class.oid, 'SELECT') AS is_readable
    FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace JOIN pg_roles ON pg_roles.oid = relowner
    WHERE relname = 'users' AND relkind IN ('r', 'p', 'v', 'm', 'f') AND pg_table_is_visible(pg_class.oid)`
  if (!row) return undefined
  return {
    name: row.name,
    kind: kinds[row.kind] ?? 'table',
    isUnlogged: row.is_unlogged,
    children: JSON.parse(row.children),
    owner: row.owner,
    ownerIsSuperuser: row.owner_is_superuser,
    isOwned: row.is_owned,
    isReadable: row.is_readable,
    columns: await listColumns(session, row.oid),
  }
}

async function listColumns(session: Session, oid: string): Promise<Column[]> {
  const rows = await session`
    SELECT attname AS name, format_type(atttypid, atttypmod) AS type, NOT attnotnull AS nullable,
           atthasdef OR attidentity <> '' AS has_default, attgenerated <> '' AS is_generated
    FROM pg_attribute WHERE attrelid = ${oid}::oid AND attnum > 0 AND NOT attisdropped ORDER BY attnum`
  return rows.map((row) => ({
    name: row.name,
    type: row.type,
    nullable: row.nullable,
    hasDefault: row.has_default,
    isGenerated: row.is_generated,
  }))
}
