import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { databaseKinds, openTestApplication, type TestApplication } from '../../application.ts'

const password = 'a long pass phrase'

/** Bodies of a trigger on the table of events. */
const rejections = { rejects: "RAISE 'full' USING ERRCODE = '53100';", discards: 'RETURN NULL;' }
const cases = databaseKinds.flatMap((kind) =>
  Object.entries(rejections).map(([does, body]) => [does, kind, body] as const),
)

describe.each(cases)('a change whose event a trigger %s, on %s', (_, kind, body) => {
  let application: TestApplication
  let token: string
  let user: string
  /** The name of the user, another one for each test. */
  let name: string
  let number = 0
  beforeAll(async () => {
    application = await openTestApplication(kind)
    await application.sql('UPDATE users SET must_change_password = false')
    await application.sql(`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN ${body} END $$`)
  })
  afterAll(() => application.close())
  beforeEach(async () => {
    name = `ada${++number}`
    application.lines.length = 0
    token = await application.accessToken()
    user = (await json('POST', '/users', { username: name, full_name: 'Ada', password })).id
    await application.sql('UPDATE users SET must_change_password = false')
  })
  afterEach(() => application.sql('DROP TRIGGER IF EXISTS refuse ON audittrail_audit_pending'))

  const send = (method: string, path: string, body?: object, bearer = token) =>
    application.call(path, {
      method,
      headers: { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' },
      ...(body ? { body: JSON.stringify(body) } : {}),
    })
  const json = async (method: string, path: string, body?: object) =>
    (await (await send(method, path, body)).json()) as Record<string, string> & { readonly id: string }
  const form = (path: string, fields: Record<string, string>) =>
    application.call(path, { method: 'POST', body: new URLSearchParams(fields) })

  /** Everything that a change may touch. */
  const state = async () => {
    const tables = [
      'users',
      'audittrail_sessions',
      'audittrail_api_keys',
      'audittrail_attempts',
      'audittrail_audit_pending',
    ]
    return Promise.all(
      tables.map((name) => application.sql(`SELECT to_json(t)::text AS row FROM ${name} t ORDER BY 1`)),
    )
  }

  const refuse = () =>
    application.sql(
      'CREATE TRIGGER refuse BEFORE INSERT ON audittrail_audit_pending FOR EACH ROW EXECUTE FUNCTION refuse()',
    )
  const recover = () => application.sql('DROP TRIGGER refuse ON audittrail_audit_pending')

  /** Prepares, and returns the change. */
  const changes: Record<string, () => Promise<() => Promise<Response>>> = {
    'a sign-in': async () => () => application.login(name, password),
    'a sign-out': async () => () => send('POST', '/auth/logout'),
    'a sign-out everywhere': async () => () => send('POST', '/auth/logout?everywhere=true'),
    'an ended session': async () => {
      const { items } = (await json('GET', '/auth/sessions')) as unknown as { items: readonly { id: string }[] }
      return () => send('DELETE', `/auth/sessions/${items[0]?.id}`)
    },
    'a revoked token': async () => () => form('/auth/revoke', { token }),
    'a changed password': async () => {
      const bearer = await application.accessToken(name, password)
      const body = { current_password: password, new_password: `${password} 2` }
      return () => send('POST', '/auth/password', body, bearer)
    },
    'a created user': async () => () => send('POST', '/users', { username: 'bob', full_name: 'Bob', password }),
    'a change of roles': async () => () => send('PATCH', `/users/${user}`, { roles: ['editor'] }),
    'a disabled user': async () => () => send('PATCH', `/users/${user}`, { is_active: false }),
    'a deleted user': async () => () => send('DELETE', `/users/${user}`),
    'a reset password': async () => () => send('POST', `/users/${user}/password`, {}),
    'the end of the sessions of a user': async () => {
      await application.login(name, password)
      return () => send('DELETE', `/users/${user}/sessions`)
    },
    'a created API key': async () => () => send('POST', '/api-keys', { name: 'shop', scopes: ['introspect'] }),
    'a revoked API key': async () => {
      const { id } = await json('POST', '/api-keys', { name: 'shop', scopes: ['introspect'] })
      return () => send('DELETE', `/api-keys/${id}`)
    },
    'a lifted lockout': async () => {
      for (let failure = 0; failure < 7; failure++) await application.login(name, 'wrong')
      const { items } = (await json('GET', '/blocks')) as unknown as { items: readonly { id: string }[] }
      return () => send('DELETE', `/blocks/${items[0]?.id}`)
    },
  }

  test.each(Object.keys(changes))('%s does not happen, and happens once the event can be written', async (what) => {
    const change = await (changes[what] as (typeof changes)[string])()
    const before = await state()
    await refuse()
    expect((await change()).status).toBe(503)
    expect(await state()).toEqual(before)
    await recover()
    expect((await change()).status).toBeLessThan(300)
    const after = await state()
    expect(after.at(-1)?.length).toBe(Number(before.at(-1)?.length) + 1)
  })

  test('a replayed refresh token does not end its session, and ends it once the event can be written', async () => {
    const signIn = await form('/auth/login', { username: name, password, scope: 'offline_access' })
    const { refresh_token: first = '' } = (await signIn.json()) as Record<string, string>
    const refresh = (presented: string) =>
      form('/auth/refresh', { grant_type: 'refresh_token', refresh_token: presented })
    const { refresh_token: second = '' } = (await (await refresh(first)).json()) as Record<string, string>
    await refresh(second)
    application.clock.now += 60_000
    const before = await state()
    await refuse()
    expect((await refresh(first)).status).toBe(503)
    expect(await state()).toEqual(before)
    await recover()
    expect((await refresh(first)).status).toBe(400)
    expect((await state())[1]?.length).toBe(Number(before[1]?.length) - 1)
  })

  test('a failed sign-in is still counted, in memory, and logged', async () => {
    await refuse()
    for (let failure = 0; failure < 5; failure++) expect((await application.login(name, 'wrong')).status).toBe(401)
    await application.login(name, 'wrong')
    expect((await application.login(name, password)).status).not.toBe(200)
    expect(application.lines.filter(({ event }) => event === 'login.failed')).toHaveLength(6)
    expect(application.lines.some(({ event }) => event === 'throttle.failed')).toBe(true)
  })
})

describe.each(databaseKinds)('a change whose event a rule discards, on %s', (kind) => {
  test('does not happen', async () => {
    const application = await openTestApplication(kind)
    const token = await application.accessToken()
    await application.sql('CREATE RULE discard AS ON INSERT TO audittrail_audit_pending DO INSTEAD NOTHING')
    const sessions = () => application.sql('SELECT id FROM audittrail_sessions')
    const before = await sessions()
    expect((await application.login()).status).toBe(503)
    const headers = { authorization: `Bearer ${token}` }
    expect((await application.call('/auth/logout', { method: 'POST', headers })).status).toBe(503)
    expect(await sessions()).toEqual(before)
    await application.close()
  })
})
