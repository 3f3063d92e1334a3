import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import postgres from 'postgres'
import { accessToken, me, run, serve } from '../binary/binary.ts'
import { createDatabase } from '../postgresql.ts'
import { hasProgram } from '../requirements.ts'
import { type AlembicProject, makeAlembicProject } from './alembicProject.ts'

const packages = '/usr/lib/python3/dist-packages'
const hasAlembic =
  hasProgram(`${packages}/alembic`, 'python3-alembic') && hasProgram(`${packages}/psycopg2`, 'python3-psycopg2')
const password = 'a long enough pass phrase'
const environment = { SECRET_KEY: 'k'.repeat(32), PASSWORD_MEMORY_KIB: '8192', PASSWORD_TIME_COST: '1' }

/** The `include_object` of docs/fastapi.md. */
function recipeOfThePage(): string {
  const page = readFileSync(join(import.meta.dir, '../../docs/fastapi.md'), 'utf8')
  return /```python\n(?<code>[^`]*def include_object[^`]*)```/.exec(page)?.groups?.code ?? ''
}

describe.skipIf(!hasAlembic)('Alembic beside AuditTrail', () => {
  let databaseUrl: string
  let project: AlembicProject
  let recipe: string
  let client: postgres.Sql

  beforeAll(async () => {
    databaseUrl = await createDatabase()
    project = makeAlembicProject(databaseUrl)
    recipe = project.write('recipe.py', recipeOfThePage())
    client = postgres(databaseUrl, { max: 1, onnotice: () => {} })
    project.alembic(['revision', '--autogenerate', '-m', 'first'])
    project.alembic(['upgrade', 'head'])
    const hash = await Bun.password.hash(password, { algorithm: 'bcrypt', cost: 4 })
    await client`INSERT INTO users (id, username, hashed_password, full_name, is_active)
      VALUES (gen_random_uuid(), 'ada', ${hash}, 'Ada L', true)`
    expect(await run(['migrate'], { environment: { ...environment, DATABASE_URL: databaseUrl } })).toMatchObject({
      code: 0,
    })
  })
  afterAll(async () => {
    await client?.end()
    project?.remove()
  })

  /** Returns every column, constraint and index that AuditTrail needs. */
  const shape = async () => {
    const columns = await client`SELECT table_name, column_name, data_type, is_nullable, column_default
      FROM information_schema.columns WHERE table_schema = 'public'
      AND (table_name LIKE 'audittrail%' OR table_name = 'users' AND column_name <> 'phone') ORDER BY 1, 2`
    const indexes = await client`SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
      AND (tablename LIKE 'audittrail%' OR tablename = 'users' AND indexname <> 'ix_users_phone') ORDER BY 1`
    const constraints = await client`SELECT conname, pg_get_constraintdef(oid) AS definition FROM pg_constraint
      WHERE connamespace = 'public'::regnamespace ORDER BY 1`
    return JSON.stringify([columns, indexes, constraints])
  }

  test('--autogenerate drops our tables and columns without the recipe', () => {
    project.alembic(['revision', '--autogenerate', '-m', 'without'])
    const text = project.revision('without')
    expect(text).toContain("op.drop_table('audittrail_sessions')")
    expect(text).toContain("op.drop_column('users', 'roles')")
    project.discard('without')
  })

  test('--autogenerate with the recipe of docs/fastapi.md changes only what the team changed', async () => {
    const before = await shape()
    project.alembic(['revision', '--autogenerate', '-m', 'unchanged'], { RECIPE: recipe })
    expect(project.revision('unchanged')).toMatch(/def upgrade\(\):\s+# .*\s+pass\s/)
    project.alembic(['upgrade', 'head'], { RECIPE: recipe })
    project.alembic(['revision', '--autogenerate', '-m', 'later'], { RECIPE: recipe, STEP: 'later' })
    const operations = [
      ...(project
        .revision('later')
        .split('def downgrade')[0]
        ?.matchAll(/op\.\w+\([^,]*, [^,]*/g) ?? []),
    ]
    expect(operations.map(([text]) => text)).toEqual([
      "op.add_column('items', sa.Column('color'",
      "op.add_column('users', sa.Column('phone'",
      "op.create_index(op.f('ix_users_phone'), 'users'",
    ])
    project.alembic(['upgrade', 'head'], { RECIPE: recipe, STEP: 'later' })
    expect(await shape()).toBe(before)
  })

  test('adopted users sign in after the migrations of the team, and after their downgrade', async () => {
    for (const target of ['head', '-1']) {
      project.alembic([target === 'head' ? 'upgrade' : 'downgrade', target], { RECIPE: recipe, STEP: 'later' })
      const server = await serve({ environment: { ...environment, DATABASE_URL: databaseUrl } })
      const token = await accessToken(server.url, 'ada', password)
      expect(await (await me(server.url, token)).json()).toMatchObject({ username: 'ada', full_name: 'Ada L' })
      await server.stop()
    }
  })
})
