import { hashByPwdlib } from '../../domain/hashes/formats.ts'

export const ada = '11111111-1111-4111-8111-111111111111'
const bob = '22222222-2222-4222-8222-222222222222'

export const columns = `id uuid PRIMARY KEY, username varchar(50) NOT NULL UNIQUE, hashed_password varchar(255) NOT NULL,
  full_name varchar(100) NOT NULL, is_active boolean NOT NULL`
export const rows = `INSERT INTO users (id, username, hashed_password, full_name, is_active) VALUES
  ('${ada}', 'ada', '${hashByPwdlib}', 'Ada L', true), ('${bob}', 'bob', '${hashByPwdlib}', 'Bob B', true)`

export function tableWith(change: (text: string) => string = (text) => text): string {
  return `CREATE TABLE users (${change(columns)})`
}

export const narrow = tableWith((text) => text.replace('varchar(50)', 'varchar(32)'))

export type Case = readonly [what: string, statements: readonly string[], problem: string | RegExp]

export const shapes: readonly Case[] = [
  [
    'no full_name',
    [tableWith((text) => text.replace('full_name varchar(100) NOT NULL,', ''))],
    'it has no column full_name',
  ],
  [
    'no is_active',
    [tableWith((text) => text.replace(', is_active boolean NOT NULL', ''))],
    'it has no column is_active',
  ],
  [
    'is_active as a number',
    [tableWith((text) => text.replace('is_active boolean NOT NULL', 'is_active smallint NOT NULL DEFAULT 1'))],
    'its column is_active is of type smallint',
  ],
  [
    'roles as text',
    [tableWith((text) => `${text}, roles text NOT NULL DEFAULT 'user'`), rows],
    'its column roles is of type text',
  ],
  [
    'roles as varchar[]',
    [tableWith((text) => `${text}, roles varchar(20)[]`), rows],
    'its column roles is of type character varying(20)[]',
  ],
  [
    'created_at as a date',
    [tableWith((text) => `${text}, created_at date DEFAULT current_date`), rows],
    'its column created_at is of type date',
  ],
  [
    'a username of fixed width',
    [tableWith((text) => text.replace('varchar(50)', 'char(60)')), rows],
    'its column username is of type character(60)',
  ],
  [
    'a generated full_name',
    [
      tableWith((text) =>
        text.replace(
          'full_name varchar(100) NOT NULL',
          'full_name varchar(100) GENERATED ALWAYS AS (upper(username)) STORED',
        ),
      ),
    ],
    'its column full_name is generated',
  ],
  [
    'another required column',
    [tableWith((text) => `${text}, "Email" text NOT NULL`)],
    'its column Email is NOT NULL without a default',
  ],
  ['an unlogged table', [tableWith().replace('TABLE', 'UNLOGGED TABLE'), rows], 'it is unlogged'],
  [
    'a child table',
    [tableWith(), rows, 'CREATE TABLE staff (badge text) INHERITS (users)'],
    'the tables staff inherit from it',
  ],
  [
    'a table of ours',
    [tableWith(), rows, 'CREATE TABLE audittrail_sessions (id int)'],
    'the table public.audittrail_sessions',
  ],
  [
    'a view and an index with our names',
    [
      tableWith(),
      rows,
      'CREATE VIEW audittrail_keys AS SELECT 1 AS one',
      'CREATE INDEX users_administrators ON users (id)',
    ],
    /the index public\.users_administrators, the view public\.audittrail_keys|the view public\.audittrail_keys, the index public\.users_administrators/,
  ],
]

export const loose = (column: string) =>
  tableWith((text) => text.replace(new RegExp(`(${column} \\S+) (NOT NULL|PRIMARY KEY)( UNIQUE)?`), '$1'))

export const blockingRows: readonly Case[] = [
  [
    'names that differ in case',
    [tableWith(), rows, `UPDATE users SET username = 'ADA' WHERE id = '${bob}'`],
    'the usernames "ADA" and ada differ only in case',
  ],
  [
    'names that differ in case, in a narrow column',
    [
      narrow,
      rows,
      `UPDATE users SET username = repeat('a', 32)`.replace('SET', 'SET').concat(` WHERE id = '${ada}'`),
      `UPDATE users SET username = repeat('A', 32) WHERE id = '${bob}'`,
    ],
    'differ only in case',
  ],
  [
    'equal names',
    [loose('username'), rows, `UPDATE users SET username = 'ada'`],
    'the usernames ada and ada differ only in case',
  ],
  [
    'a NULL username',
    [loose('username'), rows, `UPDATE users SET username = NULL WHERE id = '${ada}'`],
    '1 row has no username',
  ],
  [
    'a NULL hash',
    [loose('hashed_password'), rows, 'UPDATE users SET hashed_password = NULL'],
    '2 rows have no hashed_password',
  ],
  ['a NULL full_name', [loose('full_name'), rows, 'UPDATE users SET full_name = NULL'], '2 rows have no full_name'],
  ['a NULL id', [loose('id'), rows, `UPDATE users SET id = NULL WHERE id = '${ada}'`], '1 row has no id'],
  ['a repeated id', [loose('id'), rows, `UPDATE users SET id = '${ada}'`], '1 id belongs to several rows'],
]

export const dependents: readonly Case[] = [
  [
    'a view',
    [narrow, rows, 'CREATE VIEW names WITH (security_barrier) AS SELECT username FROM users'],
    'the view public.names depends on the column username',
  ],
  [
    'views on a view',
    [
      narrow,
      rows,
      'CREATE VIEW names AS SELECT username FROM users',
      'CREATE VIEW long AS SELECT * FROM names',
      'CREATE VIEW longer AS SELECT a.* FROM long a, names b',
    ],
    'the view public.names, public.long, public.longer depends',
  ],
  [
    'a materialized view',
    [narrow, rows, 'CREATE MATERIALIZED VIEW names AS SELECT username FROM users'],
    'the materialized view public.names depends',
  ],
  [
    'a rule',
    [
      narrow,
      rows,
      'CREATE TABLE seen (name text)',
      'CREATE RULE note AS ON UPDATE TO users DO ALSO INSERT INTO seen VALUES (NEW.username)',
    ],
    'the rule note on users depends',
  ],
  [
    'a policy',
    [narrow, rows, `CREATE POLICY own ON users FOR SELECT TO PUBLIC USING (username = current_user)`],
    'the policy own on users depends',
  ],
  [
    'a policy of another table',
    [
      narrow,
      rows,
      'CREATE TABLE notes (owner text)',
      'CREATE POLICY own ON notes USING (owner IN (SELECT username FROM users))',
    ],
    'the policy own on notes depends',
  ],
  [
    'a generated column',
    [
      narrow,
      rows,
      'ALTER TABLE users ADD slug text GENERATED ALWAYS AS (lower(username)) STORED',
      'CREATE INDEX ON users (slug)',
    ],
    'the generated column slug depends',
  ],
  [
    'a trigger',
    [
      narrow,
      rows,
      'CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NEW; END$$',
      'CREATE TRIGGER renamed BEFORE UPDATE OF username ON users FOR EACH ROW EXECUTE FUNCTION f()',
    ],
    'the trigger renamed on users depends',
  ],
  [
    'a function',
    [
      narrow,
      rows,
      'CREATE FUNCTION names() RETURNS SETOF varchar LANGUAGE sql BEGIN ATOMIC SELECT username FROM users; END',
    ],
    'the function names() depends',
  ],
  [
    'a view on two columns',
    [narrow.replace('varchar(100)', 'varchar(60)'), rows, 'CREATE VIEW names AS SELECT username, full_name FROM users'],
    'the view public.names depends on the column full_name',
  ],
]
