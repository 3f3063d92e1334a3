import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test'
import { databaseKinds, openTestApplication, type TestApplication } from '../../application.ts'
import { createAccounts, good } from '../accounts.ts'

interface Problem {
  readonly detail: string
  readonly errors?: readonly { readonly field: string }[]
}

describe.each(databaseKinds)("an application's own rules for users, on %s", (kind) => {
  let application: TestApplication
  let token: string
  const undo: string[] = []
  beforeAll(async () => {
    application = await openTestApplication(kind)
    token = (await makeAdministrator()).token
  })
  afterAll(() => application.close())
  afterEach(async () => {
    for (const sql of undo.splice(0).reverse()) await application.sql(sql)
  })

  const { json, makeAdministrator, makeUser, newName, signIn } = createAccounts(() => application)
  const create = (username = newName('made'), full_name = 'Made') =>
    json('POST', '/users', token, { username, full_name, password: good })
  const outcomeOf = async (response: Response) => {
    const { detail, errors } = (await response.json()) as Problem
    return { status: response.status, detail, fields: errors?.map(({ field }) => field) }
  }
  async function rule(sql: string, end: string): Promise<void> {
    await application.sql(sql)
    undo.push(end)
  }
  const trigger = async (when: string, body: string) => {
    await rule(`CREATE FUNCTION rule() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN ${body} END$$`, 'DROP FUNCTION rule')
    await rule(
      `CREATE TRIGGER rule ${when} ON users FOR EACH ROW EXECUTE FUNCTION rule()`,
      'DROP TRIGGER rule ON users',
    )
  }

  test('a NOT NULL column without a default: 422 names the column', async () => {
    await rule('ALTER TABLE users ADD COLUMN tenant_id integer', 'ALTER TABLE users DROP COLUMN tenant_id')
    await application.sql('UPDATE users SET tenant_id = 1')
    await application.sql('ALTER TABLE users ALTER tenant_id SET NOT NULL')
    expect(await outcomeOf(await create())).toMatchObject({
      status: 422,
      detail: expect.stringContaining('tenant_id'),
      fields: ['tenant_id'],
    })
  })

  test.each([
    ["CHECK (username ~ '^[a-z]+$')", 'POST'],
    ["CHECK (full_name <> 'Zed')", 'PATCH'],
    ["CHECK (hashed_password NOT LIKE '$argon2%')", 'password'],
  ])('%s: 422 names the constraint (%s)', async (check, change) => {
    const { id } = await makeUser()
    await rule(
      `ALTER TABLE users ADD CONSTRAINT team_rule ${check} NOT VALID`,
      'ALTER TABLE users DROP CONSTRAINT team_rule',
    )
    const response =
      change === 'POST'
        ? await create('User.1')
        : change === 'PATCH'
          ? await json('PATCH', `/users/${id}`, token, { full_name: 'Zed' })
          : await json('POST', `/users/${id}/password`, token, {})
    const { status, detail, fields } = await outcomeOf(response)
    expect({ status, fields }).toEqual({ status: 422, fields: ['team_rule'] })
    expect(detail).toContain('team_rule')
    expect(detail).not.toMatch(/User\.1|Zed|argon2/)
  })

  test('a password change that a constraint rejects: 422, and the sessions continue', async () => {
    const { username } = await makeUser()
    const { access_token: own } = await signIn(username)
    await rule(
      "ALTER TABLE users ADD CONSTRAINT team_rule CHECK (hashed_password = '') NOT VALID",
      'ALTER TABLE users DROP CONSTRAINT team_rule',
    )
    const body = { current_password: good, new_password: 'another long pass phrase' }
    expect((await outcomeOf(await json('POST', '/auth/password', own, body))).status).toBe(422)
    expect((await application.me(own)).status).toBe(200)
  })

  test.each(['', 'DEFERRABLE INITIALLY DEFERRED', 'ON DELETE RESTRICT'])(
    'a table that refers to users (%s): DELETE returns 409 and the user stays',
    async (options) => {
      const { id } = await makeUser()
      await rule(`CREATE TABLE items (owner_id uuid NOT NULL REFERENCES users(id) ${options})`, 'DROP TABLE items')
      await application.sql(`INSERT INTO items VALUES ('${id}')`)
      const outcome = await outcomeOf(await json('DELETE', `/users/${id}`, token))
      expect(outcome).toMatchObject({
        status: 409,
        detail: expect.stringContaining('Other tables refer to this user; disable the user instead'),
      })
      expect((await json('GET', `/users/${id}`, token)).status).toBe(200)
      expect((await json('PATCH', `/users/${id}`, token, { is_active: false })).status).toBe(200)
    },
  )

  test('a foreign key of users: 409', async () => {
    await rule('CREATE TABLE tenants (id integer PRIMARY KEY)', 'DROP TABLE tenants')
    await rule(
      'ALTER TABLE users ADD COLUMN tenant_id integer REFERENCES tenants(id)',
      'ALTER TABLE users DROP COLUMN tenant_id',
    )
    await application.sql('ALTER TABLE users ALTER tenant_id SET DEFAULT 1')
    const outcome = await outcomeOf(await create())
    expect(outcome.status).toBe(409)
    expect(outcome.detail).not.toContain('refer to this user')
  })

  test('a unique constraint: 409, which names the username only if that is taken', async () => {
    await rule(
      "CREATE UNIQUE INDEX one_username_per_name ON users (full_name) WHERE full_name = 'Only'",
      'DROP INDEX one_username_per_name',
    )
    const username = newName('made')
    expect((await create(username, 'Only')).status).toBe(201)
    const other = await outcomeOf(await create(newName('made'), 'Only'))
    expect(other.status).toBe(409)
    expect(other.detail).toContain('one_username_per_name')
    expect(other.detail).not.toContain('taken')
    expect(await outcomeOf(await create(username.toUpperCase(), 'Made'))).toMatchObject({
      status: 409,
      detail: 'This username is taken.',
    })
    const { id } = await makeUser()
    expect((await json('PATCH', `/users/${id}`, token, { full_name: 'Only' })).status).toBe(409)
  })

  test.each([
    ["RAISE EXCEPTION 'no %', NEW.full_name;", 409],
    ["RAISE EXCEPTION 'no' USING ERRCODE = 'UE001', CONSTRAINT = NEW.full_name;", 409],
    ["RAISE EXCEPTION 'no' USING ERRCODE = 'unique_violation', CONSTRAINT = NEW.full_name;", 409],
    ["RAISE EXCEPTION 'no' USING ERRCODE = 'check_violation', CONSTRAINT = NEW.full_name;", 422],
    ["RAISE EXCEPTION 'no' USING ERRCODE = 'insufficient_privilege';", 409],
    ['ASSERT false, NEW.full_name;', 409],
    ['PERFORM 1 / 0;', 409],
    ['INSERT INTO missing VALUES (NEW.full_name);', 409],
    ['NEW.missing := 1;', 409],
  ])('a trigger with %s: %d without its message', async (body, status) => {
    const { id } = await makeUser()
    await trigger('BEFORE INSERT OR UPDATE', `${body} RETURN NEW;`)
    for (const response of [
      await create(newName('made'), 'Secretive'),
      await json('PATCH', `/users/${id}`, token, { full_name: 'Secretive' }),
    ]) {
      const outcome = await outcomeOf(response)
      expect(outcome.status).toBe(status)
      expect(JSON.stringify(outcome)).not.toContain('Secretive')
    }
  })

  test('a trigger that rejects the deletion: 409', async () => {
    const { id } = await makeUser()
    await trigger('BEFORE DELETE', "RAISE EXCEPTION 'never';")
    expect((await json('DELETE', `/users/${id}`, token)).status).toBe(409)
  })

  test('a trigger that discards rows: 409 for each change, not a success and not another reason', async () => {
    const { id, username } = await makeUser()
    const { access_token: own } = await signIn(username)
    await trigger('BEFORE INSERT OR UPDATE OR DELETE', 'RETURN NULL;')
    const passwords = { current_password: good, new_password: 'another long pass phrase' }
    for (const response of [
      await create(),
      await json('PATCH', `/users/${id}`, token, { full_name: 'New' }),
      await json('PATCH', `/users/${id}`, token, { is_active: false }),
      await json('POST', `/users/${id}/password`, token, {}),
      await json('POST', '/auth/password', own, passwords),
      await json('DELETE', `/users/${id}`, token),
    ]) {
      expect(await outcomeOf(response)).toMatchObject({ status: 409, detail: expect.stringContaining('discarded') })
    }
    expect((await json('PATCH', `/users/${crypto.randomUUID()}`, token, { full_name: 'New' })).status).toBe(404)
    expect((await json('DELETE', `/users/${crypto.randomUUID()}`, token)).status).toBe(404)
  })

  test('a column that became narrower: 422', async () => {
    await rule(
      'ALTER TABLE users ALTER full_name TYPE varchar(20)',
      'ALTER TABLE users ALTER full_name TYPE varchar(100)',
    )
    expect((await outcomeOf(await create(newName('made'), 'x'.repeat(21)))).status).toBe(422)
  })
})
