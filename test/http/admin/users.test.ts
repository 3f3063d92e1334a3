import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { databaseKinds, openTestApplication, type TestApplication } from '../../application.ts'

const good = 'a long enough pass phrase'

interface Grant {
  readonly access_token: string
  readonly refresh_token: string
  readonly expires_in: number
}

describe.each(databaseKinds)('accounts and sessions on %s', (kind) => {
  let application: TestApplication
  let names = 0
  beforeAll(async () => {
    application = await openTestApplication(kind)
  })
  afterAll(() => application.close())

  const form = (path: string, fields: Record<string, string>) =>
    application.call(path, { method: 'POST', body: new URLSearchParams(fields) })
  const json = (method: string, path: string, token: string, body?: unknown) =>
    application.call(path, {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
  const grantOf = async (response: Response) => (await response.json()) as Grant
  const signIn = async (username: string, password = good) =>
    grantOf(await form('/auth/login', { username, password, scope: 'offline_access' }))
  const refresh = (token: string) => form('/auth/refresh', { refresh_token: token })
  const statusOfMe = async (token: string) => (await application.me(token)).status

  /** A user without quarantine, straight in the database. */
  async function makeUser(roles: readonly string[] = []): Promise<{ username: string; id: string }> {
    const username = `user${++names}`
    const hash = await Bun.password.hash(good, { algorithm: 'argon2id', memoryCost: 8192, timeCost: 1 })
    const [row] = await application.sql(`INSERT INTO users (username, hashed_password, full_name, roles)
      VALUES ('${username}', '${hash}', 'User', '{${roles.join(',')}}') RETURNING id`)
    return { username, id: String(row?.id) }
  }
  const makeAdministrator = async () => {
    const user = await makeUser(['admin'])
    return { ...user, token: (await signIn(user.username)).access_token }
  }

  describe('a refresh token', () => {
    test('comes with scope=offline_access, and not without', async () => {
      const { username } = await makeUser()
      expect(await (await application.login(username, good)).json()).not.toHaveProperty('refresh_token')
      const body = { username, password: good, scope: 'openid offline_access' }
      expect(await (await form('/auth/login', body)).json()).toMatchObject({
        scope: 'offline_access',
        refresh_token: expect.any(String),
      })
    })

    test('gives the next pair, at the token endpoint too', async () => {
      const { username } = await makeUser()
      const first = await signIn(username)
      const second = await grantOf(await refresh(first.refresh_token))
      expect(second.refresh_token).not.toBe(first.refresh_token)
      expect(await statusOfMe(second.access_token)).toBe(200)
      const third = await form('/auth/login', { grant_type: 'refresh_token', refresh_token: second.refresh_token })
      expect(third.status).toBe(200)
    })

    test('shown fifty times at once has one successor', async () => {
      const first = await signIn((await makeUser()).username)
      const answers = await Promise.all(Array.from({ length: 50 }, () => refresh(first.refresh_token)))
      const successors = new Set<string>()
      for (const answer of answers) {
        expect(answer.status).toBe(200)
        successors.add((await grantOf(answer)).refresh_token)
      }
      expect(successors.size).toBe(1)
    })

    test('may be shown again for ten seconds, and not longer', async () => {
      const first = await signIn((await makeUser()).username)
      const second = await grantOf(await refresh(first.refresh_token))
      application.clock.now += 10_000
      expect((await grantOf(await refresh(first.refresh_token))).refresh_token).toBe(second.refresh_token)
      application.clock.now += 1
      const late = await refresh(first.refresh_token)
      expect(late.status).toBe(400)
      expect(await late.json()).toMatchObject({ error: 'invalid_grant' })
      expect((await refresh(second.refresh_token)).status).toBe(400)
      expect(await statusOfMe(second.access_token)).toBe(401)
    })

    test('of the generation before the last is theft: the session is dead, its access token too', async () => {
      const first = await signIn((await makeUser()).username)
      const second = await grantOf(await refresh(first.refresh_token))
      const third = await grantOf(await refresh(second.refresh_token))
      expect(await statusOfMe(third.access_token)).toBe(200)
      expect((await refresh(first.refresh_token)).status).toBe(400)
      expect(await statusOfMe(third.access_token)).toBe(401)
      expect((await refresh(third.refresh_token)).status).toBe(400)
      expect(application.lines.at(-5)).toBeDefined()
      expect(application.lines.some(({ event }) => event === 'session.replayed')).toBe(true)
    })

    test('is no access token, nor the other way round', async () => {
      const grant = await signIn((await makeUser()).username)
      expect(await statusOfMe(grant.refresh_token)).toBe(401)
      expect((await refresh(grant.access_token)).status).toBe(400)
    })

    test.each(['nonsense', 'atr_', 'atr_AAAA', `atr_${'A'.repeat(70)}`])(
      'that we did not make (%s) is invalid_grant',
      async (token) => {
        const answer = await refresh(token)
        expect(answer.status).toBe(400)
        expect(await answer.json()).toMatchObject({ error: 'invalid_grant' })
      },
    )

    test('lies idle for fourteen days at most, and lives for thirty', async () => {
      const start = application.clock.now
      const day = 86_400_000
      const idle = await signIn((await makeUser()).username)
      application.clock.now = start + 14 * day
      expect((await refresh(idle.refresh_token)).status).toBe(400)
      application.clock.now = start

      let grant = await signIn((await makeUser()).username)
      for (const days of [10, 20, 29.99]) {
        application.clock.now = start + days * day
        grant = await grantOf(await refresh(grant.refresh_token))
        expect(grant.refresh_token).toBeDefined()
      }
      expect(grant.expires_in).toBeLessThan(1800)
      application.clock.now = start + 30 * day
      expect((await refresh(grant.refresh_token)).status).toBe(400)
      application.clock.now = start
    })

    test('is nowhere in the database', async () => {
      const grant = await signIn((await makeUser()).username)
      const rows = JSON.stringify(await application.sql('SELECT s.*, s.id::text FROM audittrail_sessions s'))
      expect(rows).not.toContain(grant.refresh_token.slice(4, 40))
      expect(Buffer.from(grant.refresh_token.slice(4), 'base64url').subarray(20)).toHaveLength(32)
    })
  })

  describe('the end of a session', () => {
    test('by logout bites at once', async () => {
      const grant = await signIn((await makeUser()).username)
      expect((await json('POST', '/auth/logout', grant.access_token)).status).toBe(204)
      expect(await statusOfMe(grant.access_token)).toBe(401)
      expect((await refresh(grant.refresh_token)).status).toBe(400)
    })

    test('by logout leaves the others of the user alone', async () => {
      const { username } = await makeUser()
      const [first, second, there] = [await signIn(username), await signIn(username), await signIn(username)]
      expect((await json('POST', '/auth/logout', first.access_token)).status).toBe(204)
      expect((await json('POST', '/auth/logout?all=false', second.access_token)).status).toBe(204)
      expect(await statusOfMe(first.access_token)).toBe(401)
      expect(await statusOfMe(second.access_token)).toBe(401)
      expect(await statusOfMe(there.access_token)).toBe(200)
    })

    test('by logout everywhere bites everywhere', async () => {
      const { username } = await makeUser()
      const [here, there] = [await signIn(username), await signIn(username)]
      expect((await json('POST', '/auth/logout?all=true', here.access_token)).status).toBe(204)
      expect(await statusOfMe(there.access_token)).toBe(401)
    })

    test.each(['refresh_token', 'access_token'] as const)('by revoking its %s bites at once', async (kindOfToken) => {
      const grant = await signIn((await makeUser()).username)
      const answer = await form('/auth/revoke', { token: grant[kindOfToken], token_type_hint: 'whatever' })
      expect([answer.status, await answer.text()]).toEqual([200, ''])
      expect(await statusOfMe(grant.access_token)).toBe(401)
    })

    test('is what revoking a token that is none wanted: 200', async () => {
      expect((await form('/auth/revoke', { token: 'nonsense' })).status).toBe(200)
    })

    test('by its id, from the list of the own ones', async () => {
      const { username } = await makeUser()
      const [here, there] = [await signIn(username), await signIn(username)]
      const list = (await (await json('GET', '/auth/sessions', here.access_token)).json()) as {
        items: { id: string; current: boolean; address: string }[]
      }
      expect(list.items).toHaveLength(2)
      const other = list.items.find(({ current }) => !current)
      expect(other).toMatchObject({ address: '192.0.2.7' })
      expect((await json('DELETE', `/auth/sessions/${other?.id}`, here.access_token)).status).toBe(204)
      expect(await statusOfMe(there.access_token)).toBe(401)
      expect((await json('DELETE', `/auth/sessions/${other?.id}`, here.access_token)).status).toBe(404)
      const stranger = await signIn((await makeUser()).username)
      const mine = list.items.find(({ current }) => current)
      expect((await json('DELETE', `/auth/sessions/${mine?.id}`, stranger.access_token)).status).toBe(404)
      expect(await statusOfMe(here.access_token)).toBe(200)
    })
  })

  describe('the own password', () => {
    test('changes, other sessions end, this one goes on', async () => {
      const { username } = await makeUser()
      const [here, there] = [await signIn(username), await signIn(username)]
      const next = 'another pass phrase, long enough'
      const answer = await json('POST', '/auth/password', here.access_token, {
        current_password: good,
        new_password: next,
      })
      expect(answer.status).toBe(204)
      expect(await statusOfMe(here.access_token)).toBe(200)
      expect(await statusOfMe(there.access_token)).toBe(401)
      expect((await application.login(username, good)).status).toBe(401)
      expect((await application.login(username, next)).status).toBe(200)
    })

    test.each([
      ['current_password', { current_password: 'wrong', new_password: 'another pass phrase' }, 'is not the current'],
      ['new_password', { current_password: good, new_password: good }, 'is the current'],
      ['new_password', { current_password: good, new_password: 'short' }, 'needs at least 12'],
      ['new_password', { current_password: good, new_password: 'x'.repeat(1025) }, 'more than 1024'],
      ['new_password', { current_password: good, new_password: 'Administrator1!' }, 'among the commonest'],
      ['new_password', { current_password: good, new_password: 'qwertyuiop2026' }, 'among the commonest'],
      ['new_password', { current_password: good, new_password: 'usuckballz1!' }, 'among the commonest'],
    ])('is refused with the field %s and the rule', async (field, body, rule) => {
      const grant = await signIn((await makeUser()).username)
      const answer = await json('POST', '/auth/password', grant.access_token, body)
      expect(answer.status).toBe(422)
      const problem = (await answer.json()) as { errors: { field: string; message: string }[] }
      expect(problem.errors[0]?.field).toBe(field)
      expect(problem.errors[0]?.message).toContain(rule)
    })

    test('is not set by a session that has ended while it was hashed', async () => {
      const user = await makeUser()
      await signIn(user.username)
      const [row] = await application.sql(`SELECT id FROM audittrail_sessions WHERE user_id = '${user.id}'`)
      const { users, sessions } = application.deps.database
      const now = new Date(application.clock.now)
      await sessions.endSession(String(row?.id), now)
      const set = users.updatePassword(user.id, { hash: 'x', mustChange: false }, now, String(row?.id))
      expect(await set.catch((error: { code: string }) => error.code)).toBe('invalid_token')
      expect((await application.login(user.username, good)).status).toBe(200)
    })

    test('is right in twenty logins at once that find an outdated hash', async () => {
      const { username } = await makeUser()
      const hash = await Bun.password.hash(good, { algorithm: 'bcrypt', cost: 4 })
      await application.sql(`UPDATE users SET hashed_password = '${hash}' WHERE username = '${username}'`)
      const answers = await Promise.all(Array.from({ length: 20 }, () => application.login(username, good)))
      expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200))
    })

    test('is right, and signs in, where the database takes no new hash at that moment', async () => {
      const { username } = await makeUser()
      const hash = await Bun.password.hash(good, { algorithm: 'bcrypt', cost: 4 })
      await application.sql(`UPDATE users SET hashed_password = '${hash}' WHERE username = '${username}'`)
      await application.sql(`
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
          $$ BEGIN RAISE EXCEPTION 'disk full' USING ERRCODE = '53100'; END $$`)
      await application.sql(
        'CREATE TRIGGER refusal BEFORE UPDATE OF hashed_password ON users FOR EACH ROW EXECUTE FUNCTION refuse()',
      )
      const grant = await signIn(username)
      expect(await statusOfMe(grant.access_token)).toBe(200)
      await application.sql('DROP TRIGGER refusal ON users')
      await application.sql('DROP FUNCTION refuse()')
      expect((await application.login(username, good)).status).toBe(200)
      const [row] = await application.sql(`SELECT hashed_password FROM users WHERE username = '${username}'`)
      expect(row?.hashed_password).toStartWith('$argon2id$')
    })

    test('of which bcrypt has read a part alone is not made anew', async () => {
      const { username } = await makeUser()
      const long = 'p'.repeat(72)
      const hash = await Bun.password.hash(long, { algorithm: 'bcrypt', cost: 4 })
      await application.sql(`UPDATE users SET hashed_password = '${hash}' WHERE username = '${username}'`)
      expect((await application.login(username, `${long} and a slip`)).status).toBe(200)
      expect((await application.login(username, `${long} and its real end`)).status).toBe(200)
    })

    test.each([
      ['cheaper', { algorithm: 'bcrypt', cost: 4 }],
      ['dearer', { algorithm: 'argon2id', memoryCost: 8192, timeCost: 3 }],
      ['of another variant', { algorithm: 'argon2d', memoryCost: 8192, timeCost: 1 }],
    ] as const)('is made anew at login where its hash is %s than new ones are', async (_how, how) => {
      const { username } = await makeUser()
      const hash = await Bun.password.hash(good, how)
      await application.sql(`UPDATE users SET hashed_password = '${hash}' WHERE username = '${username}'`)
      await signIn(username)
      const [row] = await application.sql(`SELECT hashed_password FROM users WHERE username = '${username}'`)
      expect(row?.hashed_password).toStartWith('$argon2id$v=19$m=8192,t=1,p=1$')
      expect((await application.login(username, good)).status).toBe(200)
    })
  })

  describe('a quarantined user', () => {
    test('reads /auth/me, changes the password, and is free with the next login', async () => {
      const { token } = await makeAdministrator()
      const made = (await (
        await json('POST', '/users', token, { username: `q${++names}`, full_name: 'Q' })
      ).json()) as {
        username: string
        one_time_password: string
        must_change_password: boolean
      }
      expect(made.must_change_password).toBe(true)
      expect(made.one_time_password).toMatch(/^([a-zT2-9]{6}-){3}[a-zT2-9]{6}$/)
      const first = await signIn(made.username, made.one_time_password)
      expect(first.refresh_token).toBeUndefined()
      expect(await statusOfMe(first.access_token)).toBe(200)
      const locked = await json('GET', '/auth/sessions', first.access_token)
      expect([locked.status, ((await locked.json()) as { type: string }).type]).toEqual([
        403,
        'urn:audittrail:problem:password_change_required',
      ])
      const change = { current_password: made.one_time_password, new_password: good }
      expect((await json('POST', '/auth/password', first.access_token, change)).status).toBe(204)
      expect((await json('GET', '/auth/sessions', first.access_token)).status).toBe(401)
      const second = await signIn(made.username)
      expect((await json('GET', '/auth/sessions', second.access_token)).status).toBe(200)
    })
  })

  describe('administration', () => {
    test('makes, lists, reads, changes and deletes users', async () => {
      const { token } = await makeAdministrator()
      const username = `Made.${++names}`
      const body = {
        username,
        full_name: 'Made Up',
        password: good,
        roles: ['billing', 'billing'],
        must_change_password: false,
      }
      const made = await json('POST', '/users', token, body)
      expect(made.status).toBe(201)
      const user = (await made.json()) as { id: string }
      expect(user).toEqual({
        id: expect.any(String),
        username,
        full_name: 'Made Up',
        is_active: true,
        roles: ['billing'],
        must_change_password: false,
        created_at: expect.any(String),
      } as never)
      expect((await json('POST', '/users', token, { ...body, username: username.toUpperCase() })).status).toBe(409)
      const found = (await (await json('GET', `/users?q=${username.slice(1).toLowerCase()}`, token)).json()) as {
        items: unknown[]
      }
      expect(found.items).toHaveLength(1)
      expect(await (await json('GET', `/users/${user.id}`, token)).json()).toMatchObject({ username })

      const grant = await signIn(username)
      const changed = await json('PATCH', `/users/${user.id}`, token, { full_name: 'Renamed', roles: [] })
      expect(await changed.json()).toMatchObject({ full_name: 'Renamed', roles: [], is_active: true })
      expect(await statusOfMe(grant.access_token)).toBe(200)
      await json('PATCH', `/users/${user.id}`, token, { is_active: false })
      expect(await statusOfMe(grant.access_token)).toBe(401)
      expect((await application.login(username, good)).status).toBe(401)
      await json('PATCH', `/users/${user.id}`, token, { is_active: true })
      expect(await statusOfMe(grant.access_token)).toBe(401)

      expect((await json('DELETE', `/users/${user.id}`, token)).status).toBe(204)
      expect((await json('DELETE', `/users/${user.id}`, token)).status).toBe(404)
      expect((await json('GET', `/users/${user.id}`, token)).status).toBe(404)
      expect((await json('GET', '/users/not-a-uuid', token)).status).toBe(404)
    })

    test('resets a password, which ends every session', async () => {
      const { token } = await makeAdministrator()
      const user = await makeUser()
      const grant = await signIn(user.username)
      const reset = (await (await json('POST', `/users/${user.id}/password`, token, {})).json()) as {
        one_time_password: string
      }
      expect(await statusOfMe(grant.access_token)).toBe(401)
      expect((await application.login(user.username, good)).status).toBe(401)
      expect((await application.login(user.username, reset.one_time_password)).status).toBe(200)
      const chosen = { password: 'a pass phrase that was chosen', must_change_password: false }
      expect(await (await json('POST', `/users/${user.id}/password`, token, chosen)).json()).not.toHaveProperty(
        'one_time_password',
      )
      expect((await signIn(user.username, chosen.password)).refresh_token).toBeDefined()
    })

    test("lists and ends somebody's sessions", async () => {
      const { token } = await makeAdministrator()
      const user = await makeUser()
      const grant = await signIn(user.username)
      const list = (await (await json('GET', `/users/${user.id}/sessions`, token)).json()) as {
        items: { current: boolean }[]
      }
      expect(list.items.map(({ current }) => current)).toEqual([false])
      expect((await json('DELETE', `/users/${user.id}/sessions`, token)).status).toBe(204)
      expect(await statusOfMe(grant.access_token)).toBe(401)
    })

    test('pages through all users, each once, in the order of their names', async () => {
      const { token } = await makeAdministrator()
      const seen: string[] = []
      for (let after: string | null = ''; after !== null; ) {
        const path = `/users?limit=7${after ? `&after=${encodeURIComponent(after)}` : ''}`
        const page = (await (await json('GET', path, token)).json()) as {
          items: { username: string }[]
          next: string | null
        }
        expect(page.items.length).toBeLessThanOrEqual(7)
        seen.push(...page.items.map(({ username }) => username.toLowerCase()))
        after = page.next
      }
      const rows = await application.sql(
        'SELECT lower(username) AS name FROM users ORDER BY lower(username COLLATE "C")',
      )
      expect(seen).toEqual(rows.map(({ name }) => String(name)))
    })

    test('pages past names that another program has written in other letters', async () => {
      const { token } = await makeAdministrator()
      await application.sql(`INSERT INTO users (username, hashed_password, full_name)
        SELECT name, 'x', 'Foreign' FROM unnest(ARRAY['Ärger', 'Éa', 'Özil', 'Über', 'ér', '${'😀'.repeat(50)}']) name`)
      const seen: string[] = []
      for (let after: string | null = ''; after !== null; ) {
        const path = `/users?q=Foreign&limit=1${after ? `&after=${encodeURIComponent(after)}` : ''}`
        const page = (await (await json('GET', path, token)).json()) as {
          items: { username: string }[]
          next: string | null
        }
        seen.push(...page.items.map(({ username }) => username))
        after = page.next
      }
      expect(seen).toHaveLength(6)
      expect(new Set(seen).size).toBe(6)
      await application.sql(`DELETE FROM users WHERE full_name = 'Foreign'`)
    })

    test.each([
      ['/users?after=AA', 422],
      ['/users?after=_w', 422],
      ['/users?q=a%00b', 400],
      ['/users?limit=0', 422],
      ['/users?limit=101', 422],
      ['/users/urn:uuid:2f1d9c0a-6f6e-4b0f-9f57-0d4f6a1f8a52', 404],
    ])('answers %s with %p', async (path, status) => {
      const { token } = await makeAdministrator()
      expect((await json('GET', path, token)).status).toBe(status)
    })

    test('takes a role away with the next request', async () => {
      const first = await makeAdministrator()
      const second = await makeAdministrator()
      expect((await json('GET', '/users', second.token)).status).toBe(200)
      await json('PATCH', `/users/${second.id}`, first.token, { roles: [] })
      expect((await json('GET', '/users', second.token)).status).toBe(403)
    })

    test.each([
      ['a member that it does not name', { username: 'x', full_name: 'X', is_active: false, id: 'y' }, 422],
      ['a hash', { username: 'x', full_name: 'X', hashed_password: 'y' }, 422],
      ['a bad name', { username: 'two words', full_name: 'X' }, 422],
      ['a bad role', { username: 'x', full_name: 'X', roles: ['Admin'] }, 422],
      [
        '33 roles',
        { username: 'x', full_name: 'X', roles: Array.from({ length: 33 }, (_, index) => `r${index}`) },
        422,
      ],
      ['a full name of two lines', { username: 'x', full_name: 'X\nY' }, 422],
      ['a password like the name', { username: 'averylongname', full_name: 'X', password: 'AVeryLongName1' }, 422],
      ['no full name', { username: 'x' }, 422],
      ['a list', [], 422],
    ])('refuses a body with %s', async (_what, body, status) => {
      const { token } = await makeAdministrator()
      const answer = await json('POST', '/users', token, body)
      expect(answer.status).toBe(status)
      expect(await application.sql(`SELECT FROM users WHERE username IN ('x', 'averylongname')`)).toHaveLength(0)
    })

    test.each([
      ['bad syntax', '{"username":', 400],
      ['a repeated member', '{"username":"x","username":"y","full_name":"X"}', 400],
      ['a repeated member in another spelling', '{"username":"x","user\\u006eame":"y","full_name":"X"}', 400],
      ['a NUL', '{"username":"x","full_name":"X\\u0000"}', 400],
      ['a lone surrogate', '{"username":"x","full_name":"\\ud800"}', 400],
      ['depth', '[[[[[[[[[]]]]]]]]]', 400],
    ])('refuses JSON with %s', async (_what, body, status) => {
      const { token } = await makeAdministrator()
      const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
      expect((await application.call('/users', { method: 'POST', headers, body })).status).toBe(status)
      const other = { ...headers, 'content-type': 'text/plain' }
      expect((await application.call('/users', { method: 'POST', headers: other, body })).status).toBe(415)
    })
  })
})

describe('the last active administrator', () => {
  test('can be neither disabled, demoted nor deleted', async () => {
    const application = await openTestApplication('PostgreSQL')
    await application.sql(`UPDATE users SET must_change_password = false`)
    const token = await application.accessToken()
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
    const [row] = await application.sql('SELECT id FROM users')
    const patch = (body: object) =>
      application.call(`/users/${row?.id}`, { method: 'PATCH', headers, body: JSON.stringify(body) })
    expect((await patch({ is_active: false })).status).toBe(409)
    expect((await patch({ roles: ['billing'] })).status).toBe(409)
    expect((await application.call(`/users/${row?.id}`, { method: 'DELETE', headers })).status).toBe(409)
    expect((await patch({ full_name: 'Still here', roles: ['admin', 'billing'] })).status).toBe(200)
    await application.close()
  })

  test('is left by any number of requests at once', async () => {
    const application = await openTestApplication('PostgreSQL')
    const { users } = application.deps.database
    for (let round = 0; round < 30; round++) {
      await application.sql(`DELETE FROM users`)
      const rows = await application.sql(`INSERT INTO users (username, hashed_password, full_name, roles)
        SELECT 'a' || i, 'x', 'A', '{admin}' FROM generate_series(1, 4) i RETURNING id`)
      await Promise.all(
        rows.map(({ id }, index) =>
          [
            () => users.updateUser(String(id), { is_active: false }),
            () => users.updateUser(String(id), { roles: [] }),
            () => users.deleteUser(String(id)),
            () => users.updateUser(String(id), { roles: ['other'], is_active: false }),
          ][index]?.(),
        ),
      )
      const [left] = await application.sql(
        `SELECT count(*)::int AS n FROM users WHERE is_active AND 'admin' = ANY (roles)`,
      )
      expect(left?.n).toBe(1)
    }
    await application.close()
  })
})

describe('a session that ends while it is refreshed', () => {
  test.each(['logout', 'disable', 'password change', 'password reset', 'delete'] as const)(
    'by %s is dead in every interleaving',
    async (end) => {
      const application = await openTestApplication('PostgreSQL')
      const { sessions, users } = application.deps.database
      const hash = 'not a real hash'
      for (let round = 0; round < 100; round++) {
        await application.sql(`DELETE FROM users WHERE username = 'racer'`)
        const [row] = await application.sql(
          `INSERT INTO users (username, hashed_password, full_name) VALUES ('racer', '${hash}', 'R') RETURNING id`,
        )
        const userId = String(row?.id)
        const now = new Date(application.clock.now)
        const begin = (id: string) =>
          sessions.insertSession({
            id,
            userId,
            verifiedHash: hash,
            now,
            expiresAt: new Date(now.getTime() + 86_400_000),
            refreshGeneration: 0,
            address: undefined,
            userAgent: undefined,
          })
        const [id, late] = [crypto.randomUUID(), crypto.randomUUID()]
        await begin(id)
        const rotation = { now, retryableSince: now, createdAfter: new Date(0), idle: 86_400_000, lifetime: 86_400_000 }
        const ends = {
          logout: () => sessions.endSession(id, now, userId),
          disable: () => users.updateUser(userId, { is_active: false }),
          'password change': () =>
            users.updatePassword(userId, { hash: 'new', mustChange: false, replacing: hash }, now),
          'password reset': () => users.updatePassword(userId, { hash: 'new', mustChange: true }, now),
          delete: () => users.deleteUser(userId),
        }
        // A login that verified the old password a moment ago comes in at the same time.
        await Promise.all([sessions.rotate({ id, generation: 0, ...rotation }), ends[end](), begin(late)])
        const isLive = async (sessionId: string) =>
          (await sessions.findActiveSession({ id: sessionId, userId, username: 'racer', now })) !== undefined
        expect(await isLive(id)).toBe(false)
        expect(await sessions.rotate({ id, generation: 1, ...rotation })).toBeUndefined()
        if (end !== 'logout') expect(await isLive(late)).toBe(false)
        if (end === 'disable') {
          await users.updateUser(userId, { is_active: true })
          expect([await isLive(id), await isLive(late)]).toEqual([false, false])
        }
      }
      await application.close()
    },
  )
})

describe('a page of users', () => {
  test('costs the same at the end of 100,000 as at the start: the index is used', async () => {
    const application = await openTestApplication('PostgreSQL')
    await application.sql(`INSERT INTO users (username, hashed_password, full_name)
      SELECT 'user' || lpad(i::text, 6, '0'), 'x', 'U' FROM generate_series(1, 100000) i`)
    await application.sql('ANALYZE users')
    for (const after of ['user000001', 'user099900']) {
      const plan =
        await application.sql(`EXPLAIN (ANALYZE, FORMAT JSON) SELECT * FROM users WHERE lower(username COLLATE "C") > '${after}'
        ORDER BY lower(username COLLATE "C") LIMIT 51`)
      const text = JSON.stringify(plan)
      expect(text).toContain('users_username_lower_unique')
      expect(text).not.toContain('Seq Scan')
    }
    const page = await application.deps.database.users.listUsers({ after: 'user099990', limit: 51, search: undefined })
    expect(page.map(({ username }) => username)).toHaveLength(10)
    await application.close()
  })
})
