import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test'
import { login } from '../../../src/domain/signIn/login.ts'
import { AppError } from '../../../src/error.ts'
import { databaseKinds, openTestApplication, type TestApplication } from '../../application.ts'
import { createAccounts, good } from '../accounts.ts'

describe.each(databaseKinds)('what follows a sign-in on %s', (kind) => {
  let application: TestApplication
  const undo: string[] = []
  beforeAll(async () => {
    application = await openTestApplication(kind)
  })
  afterAll(() => application.close())
  afterEach(async () => {
    for (const sql of undo.splice(0).reverse()) await application.sql(sql)
  })

  const { json, makeUser, signIn, statusOfMe } = createAccounts(() => application)

  async function rule(sql: string, end: string): Promise<void> {
    await application.sql(sql)
    undo.push(end)
  }
  async function trigger(when: string, table: string, body: string): Promise<void> {
    await rule(`CREATE FUNCTION rule() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN ${body} END$$`, 'DROP FUNCTION rule')
    await rule(
      `CREATE TRIGGER rule ${when} ON ${table} FOR EACH ROW EXECUTE FUNCTION rule()`,
      `DROP TRIGGER rule ON ${table}`,
    )
  }
  async function makeUserWithOutdatedHash() {
    const user = await makeUser()
    const hash = await Bun.password.hash(good, { algorithm: 'bcrypt', cost: 4 })
    await application.sql(`UPDATE users SET hashed_password = '${hash}' WHERE id = '${user.id}'`)
    return { ...user, hash }
  }
  const eventsOf = (username: string, event: string) =>
    application.lines.filter((line) => line.event === event && line.username === username)
  const activeSessionsOf = async (id: string) => {
    const now = new Date(application.clock.now).toISOString()
    const sql = `SELECT id FROM audittrail_sessions WHERE user_id = '${id}' AND expires_at > '${now}'`
    return (await application.sql(sql)).length
  }

  const rules: Record<string, () => Promise<void>> = {
    'an audit trigger that knows fewer columns': async () => {
      await rule('CREATE TABLE audit (operation text, id uuid, username text)', 'DROP TABLE audit')
      await trigger('AFTER UPDATE', 'users', "INSERT INTO audit SELECT 'U', NEW.*; RETURN NULL;")
    },
    'a trigger that raises': () => trigger('BEFORE UPDATE', 'users', "RAISE EXCEPTION '%', NEW.username;"),
    'a trigger that discards the row': () => trigger('BEFORE UPDATE', 'users', 'RETURN NULL;'),
    'a CHECK': () =>
      rule(
        "ALTER TABLE users ADD CONSTRAINT no_argon CHECK (hashed_password NOT LIKE '$argon2%') NOT VALID",
        'ALTER TABLE users DROP CONSTRAINT no_argon',
      ),
  }
  test.each(Object.keys(rules))('%s: keeps the hash and the sign-in', async (name) => {
    const { username, id, hash } = await makeUserWithOutdatedHash()
    await rules[name]?.()
    for (const count of [1, 2]) {
      const grant = await signIn(username)
      expect(await statusOfMe(grant.access_token)).toBe(200)
      expect(await activeSessionsOf(id)).toBe(count)
    }
    const [row] = await application.sql(`SELECT hashed_password FROM users WHERE id = '${id}'`)
    expect(row?.hashed_password).toBe(hash)
    expect(eventsOf(username, 'password.rehashed')).toEqual([])
    const failed = eventsOf(username, 'login.side_effect_failed')
    if (name !== 'a trigger that discards the row')
      expect(failed.map(({ effect }) => effect)).toEqual(['rehash', 'rehash'])
    expect(JSON.stringify(failed)).not.toContain(`'${username}`)
    expect(application.lines.map(({ event }) => event)).not.toContain('database.unavailable')
  })

  test('a throttle that cannot be reset keeps the sign-in', async () => {
    const { username, id } = await makeUser()
    await application.login(username, 'wrong')
    await trigger('BEFORE DELETE', 'audittrail_attempts', "RAISE EXCEPTION 'no';")
    await signIn(username)
    expect(await activeSessionsOf(id)).toBe(1)
    expect(eventsOf(username, 'login.side_effect_failed')).toMatchObject([{ effect: 'reset_throttle', level: 'warn' }])
  })

  test('a time of sign-in that cannot be recorded keeps the sign-in', async () => {
    const { username, id } = await makeUser()
    await trigger('BEFORE INSERT', 'audittrail_sign_ins', "RAISE EXCEPTION 'no';")
    await signIn(username)
    expect(await activeSessionsOf(id)).toBe(1)
    expect(eventsOf(username, 'login.side_effect_failed')).toMatchObject([{ effect: 'record_sign_in' }])
  })

  test('a throttle that cannot be reset keeps a password change', async () => {
    const { username } = await makeUser()
    const { access_token: token } = await signIn(username)
    const change = (current_password: string) =>
      json('POST', '/auth/password', token, { current_password, new_password: 'another long pass phrase' })
    expect((await change('wrong')).status).toBe(422)
    await trigger('BEFORE DELETE', 'audittrail_attempts', "RAISE EXCEPTION 'no';")
    expect((await change(good)).status).toBe(204)
  })

  const failureOf = (work: Promise<unknown>) =>
    work.then(
      () => undefined,
      ({ message }: Error) => message,
    )
  const attempt = (username: string, signal?: AbortSignal) => ({
    username,
    password: good,
    sessionKind: 'refreshable' as const,
    throttleSubject: { account: username, network: '192.0.2.9', device: undefined },
    address: '192.0.2.9',
    userAgent: undefined,
    ...(signal ? { signal } : {}),
  })

  test('a sign-in whose tokens cannot be issued leaves no session', async () => {
    const { username, id } = await makeUser()
    const issue = () => Promise.reject(new AppError('unavailable', 'no key'))
    expect(await failureOf(login(application.deps, attempt(username), issue))).toContain('no key')
    expect(await activeSessionsOf(id)).toBe(0)
    expect(eventsOf(username, 'login.succeeded')).toEqual([])
  })

  test('a sign-in whose client disconnects leaves no session', async () => {
    const { username, id } = await makeUser()
    const client = new AbortController()
    const issue = async () => client.abort()
    expect(await failureOf(login(application.deps, attempt(username, client.signal), issue))).toBeString()
    expect(await activeSessionsOf(id)).toBe(0)
  })

  test('a sign-in whose session started although the database was lost leaves none', async () => {
    const { username, id } = await makeUser()
    const { deps } = application
    const { signIns } = deps.database
    const ended = Promise.withResolvers<void>()
    const database = {
      ...deps.database,
      signIns: {
        ...signIns,
        insertSession: async (session: Parameters<typeof signIns.insertSession>[0]) => {
          await signIns.insertSession(session)
          throw new AppError('unavailable', 'lost', { cause: { code: 'CONNECTION_CLOSED' } })
        },
      },
      withEvents: (async (...change: Parameters<typeof deps.database.withEvents>) => {
        const result = await deps.database.withEvents(...change)
        ended.resolve()
        return result
      }) as typeof deps.database.withEvents,
    }
    expect(await failureOf(login({ ...deps, database }, attempt(username), async () => {}))).toBe('lost')
    await ended.promise
    expect(await activeSessionsOf(id)).toBe(0)
  })
})

describe('a role that must not change hashed_password', () => {
  const role = `audittrail_test_${crypto.randomUUID().slice(0, 8)}`
  let application: TestApplication
  beforeAll(async () => {
    application = await openTestApplication('PostgreSQL', {
      databaseSql: `
        CREATE ROLE ${role} SUPERUSER;
        DO $$BEGIN EXECUTE format('ALTER DATABASE %I SET role TO ${role}', current_database()); END$$`,
    })
    await application.sql(`
      ALTER TABLE users OWNER TO postgres;
      GRANT SELECT, INSERT, DELETE ON users TO ${role};
      ALTER ROLE ${role} NOSUPERUSER`)
  })
  afterAll(async () => {
    await application.sql(
      `SET ROLE postgres; REASSIGN OWNED BY ${role} TO postgres; DROP OWNED BY ${role}; DROP ROLE ${role}`,
    )
    await application.close()
  })

  const { makeUser, signIn, statusOfMe } = createAccounts(() => application)

  test.each([
    ['any column', ''],
    ['it', 'GRANT UPDATE (full_name) ON users TO ROLE'],
  ])('signs users in without the privilege to update %s', async (_what, grant) => {
    const { username, id } = await makeUser()
    const hash = await Bun.password.hash(good, { algorithm: 'bcrypt', cost: 4 })
    await application.sql(`
      SET ROLE postgres; UPDATE users SET hashed_password = '${hash}' WHERE id = '${id}';
      ${grant.replace('ROLE', role)}; RESET ROLE`)
    for (const _sign of [1, 2]) expect(await statusOfMe((await signIn(username)).access_token)).toBe(200)
    const failed = application.lines.filter(
      ({ event, username: name }) => event === 'login.side_effect_failed' && name === username,
    )
    expect(failed).toMatchObject([{ effect: 'rehash' }, { effect: 'rehash' }])
    expect(String(failed[0]?.message)).toContain('42501')
    expect(application.lines.map(({ event }) => event)).not.toContain('database.unavailable')
  })
})
