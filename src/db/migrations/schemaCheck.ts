import { tables } from '../tables.ts'
import type { Blocker, Session } from './blocker.ts'

export interface SchemaCheck {
  /** Tables and columns of this version that the search path does not find. */
  readonly missing: readonly string[]
  /** GRANT statements for what the role lacks at run time. */
  readonly grants: readonly string[]
  /** The GRANT of what only `audittrail import` needs. */
  readonly importGrants: readonly string[]
  /** Row-level security that applies to the role. */
  readonly filtered: readonly FilteredTable[]
}

interface FilteredTable {
  readonly name: string
  /** No policy lets the role see a row. */
  readonly isHidden: boolean
  readonly sql: readonly string[]
}

const migrationsTable = { name: 'audittrail_migrations', columns: ['created_at', 'hash'] }
const wanted = [...tables, migrationsTable]

/** Compares a migrated database with what this version needs. Reads only the catalog. */
export async function checkSchema(session: Session): Promise<SchemaCheck> {
  const rows = await session`
    SELECT relname AS name, format('%I.%I', nspname, relname) AS qualified,
           (SELECT json_agg(attname) FROM pg_attribute WHERE attrelid = pg_class.oid AND attnum > 0 AND NOT attisdropped)::text AS columns,
           (SELECT coalesce(json_agg(privilege), '[]') FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS privilege
            WHERE NOT has_table_privilege(pg_class.oid, privilege)
              AND (privilege = 'DELETE' OR NOT has_any_column_privilege(pg_class.oid, privilege)))::text AS lacking,
           CASE WHEN relkind IN ('r', 'p') AND row_security_active(pg_class.oid) THEN (
             SELECT CASE WHEN count(*) FILTER (WHERE polpermissive) = 0 THEN 'hidden'
               WHEN bool_or(polpermissive AND polcmd = '*' AND pg_get_expr(polqual, polrelid) = 'true'
                 AND coalesce(pg_get_expr(polwithcheck, polrelid), 'true') = 'true') AND bool_and(polpermissive) THEN 'open'
               ELSE 'filtered' END
             FROM pg_policy WHERE polrelid = pg_class.oid AND polcmd IN ('*', 'r')
               AND EXISTS (SELECT FROM unnest(polroles) AS role WHERE role = 0 OR pg_has_role(role, 'USAGE'))
           ) ELSE 'open' END AS rows
    FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE relname IN (SELECT json_array_elements_text(${JSON.stringify(wanted.map(({ name }) => name))}::text::json))
      AND relkind IN ('r', 'p', 'v', 'm', 'f') AND pg_table_is_visible(pg_class.oid)`
  const [role] = await session`
    SELECT quote_ident(current_user) AS name, quote_ident(current_database()) AS database,
           has_database_privilege(current_database(), 'TEMPORARY') AS may_stage`
  const found = new Map(rows.map((row) => [String(row.name), row]))
  return {
    missing: wanted.flatMap(({ name, columns }) => {
      const existing = found.get(name)
      if (!existing) return [name]
      const present: readonly string[] = JSON.parse(existing.columns)
      return columns.filter((column) => !present.includes(column)).map((column) => `${name}.${column}`)
    }),
    grants: grantsFor(
      rows.map(({ name, qualified, lacking }) => [name, qualified, JSON.parse(lacking)]),
      role?.name,
    ),
    importGrants: role?.may_stage ? [] : [`GRANT TEMPORARY ON DATABASE ${role?.database} TO ${role?.name};`],
    filtered: rows
      .filter((row) => row.rows !== 'open')
      .map((row) => ({
        name: row.qualified,
        isHidden: row.rows === 'hidden',
        sql: [`CREATE POLICY audittrail ON ${row.qualified} TO ${role?.name} USING (true) WITH CHECK (true);`],
      })),
  }
}

/** Tables that the server needs less than all of SELECT, INSERT, UPDATE and DELETE for. */
const narrower: Readonly<Record<string, readonly string[]>> = {
  [migrationsTable.name]: ['SELECT'],
  audittrail_audit_events: ['SELECT', 'INSERT'],
  audittrail_audit_nodes: ['SELECT', 'INSERT'],
  audittrail_audit_checkpoints: ['SELECT', 'INSERT', 'UPDATE'],
  audittrail_audit_accounts: ['SELECT', 'UPDATE'],
  audittrail_audit_state: ['SELECT', 'INSERT', 'UPDATE'],
  audittrail_audit_witnesses: ['SELECT', 'INSERT', 'UPDATE'],
}

type Lacking = readonly [name: string, qualified: string, privileges: readonly string[]]

/** One statement for each set of privileges. */
function grantsFor(lacking: readonly Lacking[], role: string): string[] {
  const needed = lacking.map(([name, qualified, privileges]): [string, string] => [
    privileges.filter((privilege) => narrower[name]?.includes(privilege) ?? true).join(', '),
    qualified,
  ])
  return [...Map.groupBy(needed, ([privileges]) => privileges)]
    .filter(([privileges]) => privileges !== '')
    .map(
      ([privileges, of]) =>
        `GRANT ${privileges} ON ${of
          .map(([, name]) => name)
          .sort()
          .join(', ')} TO ${role};`,
    )
}

/** Returns the row-level security on a table, which would hide its users. */
export async function rowSecurityBlockers(session: Session, table: string): Promise<Blocker[]> {
  const { filtered } = await checkSchema(session)
  return filtered.filter(({ name }) => name === table).map(filterBlocker)
}

/** Returns what keeps a migrated database from working. */
export function schemaBlockers({ missing, grants, filtered }: SchemaCheck): Blocker[] {
  return [
    ...(missing.length > 0
      ? [
          {
            problem: `the schema was changed: ${missing.join(', ')} ${missing.length === 1 ? 'is' : 'are'} missing. Restore a backup`,
            sql: [],
          },
        ]
      : []),
    ...(grants.length > 0 ? [{ problem: 'the role lacks privileges', sql: grants }] : []),
    ...filtered.map(filterBlocker),
  ]
}

function filterBlocker({ name, isHidden, sql }: FilteredTable): Blocker {
  const hides = isHidden ? 'hides all' : 'may hide'
  return {
    problem: `row-level security ${hides} rows of ${name} from the role. Give it BYPASSRLS, or a policy for all rows`,
    sql,
  }
}
