import { type Blocker, quoted, type Session } from './blocker.ts'
import type { UsersTable } from './usersTable.ts'

interface Role {
  /** Quoted, for SQL. */
  readonly name: string
  /** Where new tables are created, quoted. Null: the role can use no schema of its search path. */
  readonly schema: string | null
  readonly mayCreate: boolean
}

export async function readRole(session: Session): Promise<Role> {
  const [row] = await session`
    SELECT quote_ident(current_user) AS name, quote_ident(current_schema()) AS schema,
           current_schema() IS NOT NULL AND has_schema_privilege(current_schema(), 'CREATE') AS may_create`
  return { name: row?.name, schema: row?.schema ?? null, mayCreate: row?.may_create === true }
}

/** Returns the privileges that the role lacks to migrate this database, and to adopt `users`. */
export async function privilegeBlockers(session: Session, table: UsersTable | undefined): Promise<Blocker[]> {
  const role = await readRole(session)
  if (role.schema === null) return [await schemaBlocker(session, role)]
  return [
    ...(role.mayCreate
      ? []
      : [
          {
            problem:
              `the role ${role.name} may not create tables in the schema ${role.schema}. ${await elsewhere(session)}`.replace(
                /\. $/,
                '',
              ),
            sql: [`GRANT CREATE ON SCHEMA ${role.schema} TO ${role.name};`],
          },
        ]),
    ...(table && !table.isOwned ? [ownerBlocker(role, table)] : []),
    ...(table && !table.isReadable
      ? [
          {
            problem: `the role ${role.name} may not read the table ${table.name}`,
            sql: [`GRANT SELECT ON ${table.name} TO ${role.name};`],
          },
        ]
      : []),
  ]
}

function ownerBlocker({ name: role }: Role, { name, owner, ownerIsSuperuser }: UsersTable): Blocker {
  const ownerName = quoted(owner)
  return {
    problem: `the table ${name} belongs to the role ${ownerName}, and only its owner can alter it. Migrate as that role, or give ${role} the table`,
    // Membership in a superuser's role would grant everything.
    sql: [ownerIsSuperuser ? `ALTER TABLE ${name} OWNER TO ${role};` : `GRANT ${ownerName} TO ${role};`],
  }
}

async function schemaBlocker(session: Session, { name }: Role): Promise<Blocker> {
  const rows = await session`
    SELECT CASE named.name WHEN '$user' THEN current_user ELSE named.name END AS name, pg_namespace.oid IS NOT NULL AS exists,
           EXISTS (SELECT FROM pg_class WHERE relnamespace = pg_namespace.oid AND relname = 'audittrail_migrations') AS is_migrated
    FROM (SELECT position, btrim(part, ' "') AS name
          FROM unnest(string_to_array(current_setting('search_path'), ',')) WITH ORDINALITY AS parts (part, position)) AS named
    LEFT JOIN pg_namespace ON nspname = CASE named.name WHEN '$user' THEN current_user ELSE named.name END
    WHERE named.name <> '' ORDER BY pg_namespace.oid IS NULL, named.name = '$user', position`
  const schema = quoted(rows[0]?.name ?? 'public')
  return rows[0]?.exists
    ? {
        problem: `the role ${name} may not use the schema ${schema}`,
        sql: [`GRANT USAGE${rows[0].is_migrated ? '' : ', CREATE'} ON SCHEMA ${schema} TO ${name};`],
      }
    : {
        problem: `no schema of the search path exists (${rows.map((row) => quoted(row.name)).join(', ')})`,
        sql: [`CREATE SCHEMA ${schema} AUTHORIZATION ${name};`],
      }
}

/** A hint, if AuditTrail or a suitable table is in a schema that is not searched. */
export async function elsewhere(session: Session): Promise<string> {
  const [row] = await session`
    SELECT nspname AS schema, relname AS name FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE relkind IN ('r', 'p') AND NOT pg_table_is_visible(pg_class.oid)
      AND (relname = 'audittrail_migrations' OR relname = 'users' AND 2 = (
        SELECT count(*) FROM pg_attribute WHERE attrelid = pg_class.oid AND attname IN ('username', 'hashed_password')))
    ORDER BY relname, nspname LIMIT 1`
  return row
    ? `The schema ${quoted(row.schema)}, which is not searched, has a table ${row.name}: to use it, set options=-csearch_path%3D${encodeURIComponent(row.schema)} in DATABASE_URL.`
    : ''
}
