import type { Blocker, Session } from './blocker.ts'
import type { Migration } from './bundled.ts'

/** Created by adoption, beside the objects of the migrations. */
const own = ['audittrail_migrations', 'users_username_lower_unique', 'users_username_unique']

const kinds: Readonly<Record<string, string>> = {
  i: 'index',
  I: 'index',
  v: 'view',
  m: 'materialized view',
  S: 'sequence',
  f: 'foreign table',
}

/** Returns the relations whose names the migrations need: leftovers, or another application's. */
export async function nameBlockers(session: Session, migrations: readonly Migration[]): Promise<Blocker[]> {
  const statements = migrations.flatMap((migration) => migration.statements).join('\n')
  const created = [...statements.matchAll(/(?:CREATE (?:TABLE|UNIQUE INDEX|INDEX)|CONSTRAINT) "(\w+)"/g)].map(
    ([, name]) => name,
  )
  const names = [...created.filter((name) => name !== 'users'), ...own]
  const rows = await session`
    SELECT format('%I.%I', nspname, relname) AS name, quote_ident(relname || '_old') AS renamed, relkind AS kind
    FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE nspname = current_schema() AND relname IN (SELECT json_array_elements_text(${JSON.stringify(names)}::text::json))
    ORDER BY relkind = 'r', relname`
  if (rows.length === 0) return []
  return [
    {
      problem: `the schema already has ${rows.map(({ name, kind }) => `the ${kinds[kind] ?? 'table'} ${name}`).join(', ')}, whose name AuditTrail needs`,
      sql: rows.map(
        ({ name, renamed, kind }) => `ALTER ${(kinds[kind] ?? 'table').toUpperCase()} ${name} RENAME TO ${renamed};`,
      ),
    },
  ]
}
