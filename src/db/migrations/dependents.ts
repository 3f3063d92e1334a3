import type { Blocker, Session } from './blocker.ts'
import { narrowColumns, type UsersTable } from './usersTable.ts'

/**
 * Returns what depends on a column whose type adoption changes. PostgreSQL alters no such column.
 * Indexes, constraints and foreign keys follow by themselves.
 */
export async function dependentBlockers(session: Session, table: UsersTable): Promise<Blocker[]> {
  const blockers: Blocker[] = []
  for (const { name, type } of narrowColumns(table.columns)) {
    const dependents = await findDependents(session, table, name)
    for (const { kind, label, drop, create } of dependents)
      blockers.push({
        problem: `the ${kind} ${label} depends on the column ${name}, which must become ${type}`,
        sql: drop,
        afterwards: create,
      })
  }
  return withoutRepeated(blockers)
}

/** One object may depend on two columns. Its SQL is needed once. */
function withoutRepeated(blockers: readonly Blocker[]): Blocker[] {
  const seen = new Set<string>()
  return blockers.map((blocker) => {
    const key = blocker.sql.join()
    if (seen.has(key)) return { problem: blocker.problem, sql: [] }
    seen.add(key)
    return blocker
  })
}

interface Dependent {
  readonly kind: string
  readonly label: string
  readonly drop: readonly string[]
  readonly create: readonly string[]
}

async function findDependents(session: Session, { name }: UsersTable, column: string): Promise<Dependent[]> {
  const found = []
  for (const query of [views, rules, policies, triggers, generatedColumns, functions, publications])
    found.push(...(await session.unsafe(`WITH RECURSIVE subject AS (${subject}) ${query}`, [name, column])))
  return found.map(({ kind, label, drop, create }) => ({
    kind,
    label,
    drop: JSON.parse(drop),
    create: JSON.parse(create),
  }))
}

/** SQL: the objects that depend on the column. */
const subject = `
  SELECT classid, objid FROM pg_depend WHERE refclassid = 'pg_class'::regclass AND refobjid = $1::text::regclass
  AND refobjsubid = (SELECT attnum FROM pg_attribute WHERE attrelid = $1::text::regclass AND attname = $2)`

/** Views on views too, the outermost first. Grants, comments and owners are restored by hand. */
const views = `
  , dependent AS (
    SELECT ev_class AS oid, 1 AS depth FROM subject JOIN pg_rewrite ON pg_rewrite.oid = objid
    WHERE classid = 'pg_rewrite'::regclass AND rulename = '_RETURN'
    UNION
    SELECT ev_class, depth + 1 FROM dependent JOIN pg_depend ON refclassid = 'pg_class'::regclass AND refobjid = dependent.oid
      AND classid = 'pg_rewrite'::regclass AND deptype = 'n'
    JOIN pg_rewrite ON pg_rewrite.oid = objid AND rulename = '_RETURN' AND ev_class <> dependent.oid
  ), ordered AS (SELECT oid, max(depth) AS depth FROM dependent GROUP BY oid),
  named AS (
    SELECT pg_class.oid, depth, format('%I.%I', nspname, relname) AS name, array_to_string(reloptions, ', ') AS options,
           CASE relkind WHEN 'm' THEN 'materialized view' ELSE 'view' END AS kind
    FROM ordered JOIN pg_class USING (oid) JOIN pg_namespace ON pg_namespace.oid = relnamespace
  )
  SELECT max(kind) FILTER (WHERE depth = 1) AS kind, string_agg(name, ', ' ORDER BY depth, name) AS label,
         json_agg(format('DROP %s %s;', upper(kind), name) ORDER BY depth DESC, name)::text AS drop,
         json_agg(format('CREATE %s %s%s AS %s', upper(kind), name, ' WITH (' || options || ')', pg_get_viewdef(oid)) ORDER BY depth, name)::text
           AS create
  FROM named HAVING count(*) > 0`

const rules = `
  SELECT 'rule' AS kind, format('%I on %s', rulename, ev_class::regclass) AS label,
         json_build_array(format('DROP RULE %I ON %s;', rulename, ev_class::regclass))::text AS drop,
         json_build_array(pg_get_ruledef(pg_rewrite.oid))::text AS create
  FROM (SELECT DISTINCT objid FROM subject WHERE classid = 'pg_rewrite'::regclass) AS own
  JOIN pg_rewrite ON pg_rewrite.oid = objid WHERE rulename <> '_RETURN'`

const policies = `
  SELECT 'policy' AS kind, format('%I on %s', polname, polrelid::regclass) AS label,
         json_build_array(format('DROP POLICY %I ON %s;', polname, polrelid::regclass))::text AS drop,
         json_build_array(format('CREATE POLICY %I ON %s AS %s FOR %s TO %s%s%s;', polname, polrelid::regclass,
           CASE WHEN polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
           CASE polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
           (SELECT string_agg(CASE role WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(role)) END, ', ') FROM unnest(polroles) AS role),
           ' USING (' || pg_get_expr(polqual, polrelid) || ')', ' WITH CHECK (' || pg_get_expr(polwithcheck, polrelid) || ')'))::text AS create
  FROM (SELECT DISTINCT objid FROM subject WHERE classid = 'pg_policy'::regclass) AS own JOIN pg_policy ON pg_policy.oid = objid`

const triggers = `
  SELECT 'trigger' AS kind, format('%I on %s', tgname, tgrelid::regclass) AS label,
         json_build_array(format('DROP TRIGGER %I ON %s;', tgname, tgrelid::regclass))::text AS drop,
         json_build_array(pg_get_triggerdef(pg_trigger.oid) || ';')::text AS create
  FROM (SELECT DISTINCT objid FROM subject WHERE classid = 'pg_trigger'::regclass) AS own
  JOIN pg_trigger ON pg_trigger.oid = objid WHERE NOT tgisinternal`

/** The indexes of a generated column are dropped with it. */
const generatedColumns = `
  SELECT 'generated column' AS kind, quote_ident(attname) AS label,
         json_build_array(format('ALTER TABLE %s DROP COLUMN %I;', adrelid::regclass, attname))::text AS drop,
         array_to_json(array_prepend(
           format('ALTER TABLE %s ADD COLUMN %I %s GENERATED ALWAYS AS (%s) STORED;', adrelid::regclass, attname,
             format_type(atttypid, atttypmod), pg_get_expr(adbin, adrelid)),
           ARRAY(SELECT pg_get_indexdef(indexrelid) || ';' FROM pg_index WHERE indrelid = adrelid AND adnum = ANY (indkey)))
         )::text AS create
  FROM (SELECT DISTINCT objid FROM subject WHERE classid = 'pg_attrdef'::regclass) AS own JOIN pg_attrdef ON pg_attrdef.oid = objid
  JOIN pg_attribute ON attrelid = adrelid AND attnum = adnum WHERE attgenerated <> ''`

const functions = `
  SELECT 'function' AS kind, objid::regprocedure::text AS label,
         json_build_array(format('DROP ROUTINE %s;', objid::regprocedure))::text AS drop,
         json_build_array(pg_get_functiondef(objid) || ';')::text AS create
  FROM (SELECT DISTINCT objid FROM subject WHERE classid = 'pg_proc'::regclass) AS own`

const publications = `
  SELECT 'publication' AS kind, quote_ident(pubname) AS label,
         json_build_array(format('ALTER PUBLICATION %I DROP TABLE %s;', pubname, prrelid::regclass))::text AS drop,
         json_build_array(format('ALTER PUBLICATION %I ADD TABLE %s;', pubname, prrelid::regclass))::text AS create
  FROM (SELECT DISTINCT objid FROM subject WHERE classid = 'pg_publication_rel'::regclass) AS own
  JOIN pg_publication_rel ON pg_publication_rel.oid = objid JOIN pg_publication ON pg_publication.oid = prpubid`
