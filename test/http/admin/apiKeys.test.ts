import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { generateApiKey } from '../../../src/domain/apiKeys/apiKeyFormat.ts'
import { endSessionsOf, resetPassword } from '../../../src/domain/users/users.ts'
import { databaseKinds, openTestApplication, type TestApplication } from '../../application.ts'

const good = 'a long enough pass phrase'
const day = 86_400_000

interface Made {
  readonly id: string
  readonly name: string
  readonly service_id: string
  readonly key: string
  readonly expires_at: string | null
  readonly last_used_at: string | null
}

describe.each(databaseKinds)('API keys on %s', (kind) => {
  let application: TestApplication
  let boss: string
  beforeAll(async () => {
    application = await openTestApplication(kind)
    const hash = await Bun.password.hash(good, { algorithm: 'argon2id', memoryCost: 8192, timeCost: 1 })
    await application.sql(`INSERT INTO users (username, hashed_password, full_name, roles) VALUES
      ('boss', '${hash}', 'B', '{admin}'), ('second', '${hash}', 'S', '{admin}'), ('ada', '${hash}', 'A', '{staff}')`)
  })
  afterAll(() => application.close())

  const call = async (method: string, path: string, credential: string, body?: unknown) =>
    application.call(path, {
      method,
      headers: {
        ...(credential === '' ? {} : { authorization: `Bearer ${credential}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
  const asBoss = async (method: string, path: string, body?: unknown) => {
    boss = await application.accessToken('boss', good)
    return call(method, path, boss, body)
  }
  const make = async (draft: object): Promise<Made> => {
    const response = await asBoss('POST', '/api-keys', draft)
    expect(response.status).toBe(201)
    return (await response.json()) as Made
  }
  const listed = async (): Promise<Made[]> =>
    ((await (await asBoss('GET', '/api-keys?limit=100')).json()) as { items: Made[] }).items
  const find = async (id: string) => (await listed()).find((apiKey) => apiKey.id === id)
  const idOf = async (username: string) =>
    String((await application.sql(`SELECT id FROM users WHERE username = '${username}'`))[0]?.id)

  describe('are made', () => {
    test('by an administrator, for a year, and shown in that one answer', async () => {
      const { key, ...made } = await make({ name: 'reports', scopes: ['users:read'], roles: ['staff', 'staff'] })
      const created_at = new Date(application.clock.now).toISOString()
      expect(made).toEqual({
        id: expect.any(String),
        name: 'reports',
        service_id: expect.any(String),
        scopes: ['users:read'],
        roles: ['staff'],
        created_by: 'boss',
        created_at,
        expires_at: new Date(application.clock.now + 365 * day).toISOString(),
        last_used_at: null,
        revoked_at: null,
        revoked_by: null,
      } as never)
      expect(await find(made.id)).toEqual(made as never)
      expect((await call('GET', '/users', key)).status).toBe(200)
    })

    test('to the moment that is asked for, or for ever', async () => {
      const zoned = await make({ name: 'a', roles: ['x'], expires_at: '2099-01-31T08:00:00+02:00' })
      expect(zoned.expires_at).toBe('2099-01-31T06:00:00.000Z')
      expect((await make({ name: 'a', roles: ['x'], expires_at: null })).expires_at).toBeNull()
    })

    test('several for one service, whose id stays, in whatever case its name is written', async () => {
      const first = await make({ name: 'Billing', roles: ['x'] })
      const second = await make({ name: 'bILLING', roles: ['y'] })
      expect(second).toMatchObject({ name: 'Billing', service_id: first.service_id })
      expect(second.key).not.toBe(first.key)
      for (const { id } of [first, second]) expect((await asBoss('DELETE', `/api-keys/${id}`)).status).toBe(204)
      expect((await make({ name: 'billing', roles: ['x'] })).service_id).toBe(first.service_id)
    })

    test('by fifty at once, for one service', async () => {
      const token = await application.accessToken('boss', good)
      const answers = await Promise.all(
        Array.from({ length: 50 }, () => call('POST', '/api-keys', token, { name: 'crowd', roles: ['x'] })),
      )
      const made = (await Promise.all(answers.map((answer) => answer.json()))) as Made[]
      expect(new Set(made.map(({ service_id }) => service_id)).size).toBe(1)
      expect(new Set(made.map(({ key }) => key)).size).toBe(50)
    })

    test.each([
      [{ name: '' }, 'name'],
      [{ name: 'a b' }, 'name'],
      [{ name: 'service:x' }, 'name'],
      [{ name: 'x'.repeat(51) }, 'name'],
      [{ name: 'Zoë' }, 'name'],
      // The command line would take them for a flag, and for the id of a key.
      [{ name: '--json' }, 'name'],
      [{ name: '5B0f2a7e-5f0e-4c55-8d59-0b8c2c7a9a10' }, 'name'],
      [{ scopes: ['users'] }, 'scopes'],
      [{ scopes: ['users:read', 'admin'] }, 'scopes'],
      [{ scopes: ['users:read users:write'] }, 'scopes'],
      [{ scopes: [], roles: [] }, 'scopes'],
      [{ roles: ['Staff'] }, 'roles'],
      [{ roles: ['a,b'] }, 'roles'],
      [{ roles: Array.from({ length: 33 }, (_, at) => `r${at}`) }, 'roles'],
      [{ expires_at: '2020-01-01T00:00:00Z' }, 'expires_at'],
      [{ expires_at: 'tomorrow' }, 'expires_at'],
      [{ expires_at: '2099-02-30T00:00:00' }, 'expires_at'],
      [{ expires_at: '2099-13-01T00:00:00Z' }, 'expires_at'],
      [{ expires_at: '2099-02-30T00:00:00Z' }, 'expires_at'],
      [{ expires_at: '2099-01-31T24:00:00Z' }, 'expires_at'],
      [{ expires_at: '2099-01-31T08:00:00+24:00' }, 'expires_at'],
      // In UTC the year has five digits, which no database takes as JavaScript writes it.
      [{ expires_at: '9999-12-31T23:59:59-01:00' }, 'expires_at'],
      [{ expires_at: '' }, 'expires_at'],
      [{ expires_at: 4070908800 }, 'expires_at'],
      [{ scopes: 'users:read' }, 'scopes'],
    ])('not with %j, and the field at fault is named', async (fault, field) => {
      const response = await asBoss('POST', '/api-keys', { name: 'faulty', scopes: ['introspect'], ...fault })
      expect(response.status).toBe(422)
      const { errors } = (await response.json()) as { errors: { field: string }[] }
      expect(errors.map((error) => error.field.split('.')[0])).toContain(field)
      expect((await listed()).filter(({ name }) => name === 'faulty')).toEqual([])
    })

    test.each(['tomorrow', '2099-13-01T00:00:00Z', '2099-02-30T00:00:00Z', '2020-01-01T00:00:00Z'])(
      'not to %s, and what it takes is said',
      async (expires_at) => {
        const response = await asBoss('POST', '/api-keys', { name: 'faulty', scopes: ['introspect'], expires_at })
        expect(((await response.json()) as { detail: string }).detail).toContain('such as 2030-01-31T08:00:00Z')
      },
    )

    test.each(['id', 'key', 'digest', 'service_id', 'created_at', 'last_used_at'])(
      'not with a %s of the caller',
      async (member) => {
        const draft = { name: 'faulty', scopes: ['introspect'], [member]: 'x' }
        expect((await asBoss('POST', '/api-keys', draft)).status).toBe(422)
      },
    )
  })

  describe('open', () => {
    test('nothing once they have expired, to the millisecond', async () => {
      const expires_at = new Date(application.clock.now + 1000).toISOString()
      const key = await application.apiKey({ scopes: ['users:read'], roles: ['staff'], expires_at })
      application.clock.now += 999
      expect((await call('GET', '/users', key)).status).toBe(200)
      application.clock.now += 1
      expect((await call('GET', '/users', key)).status).toBe(401)
      expect((await call('GET', '/auth/verify', key)).status).toBe(401)
    })

    test('nothing from the request after they were revoked', async () => {
      const { id, key } = await make({ name: 'gone', scopes: ['users:read'], roles: ['staff'] })
      expect((await call('GET', '/auth/verify?role=staff', key)).status).toBe(204)
      expect((await asBoss('DELETE', `/api-keys/${id}`)).status).toBe(204)
      expect((await call('GET', '/auth/verify?role=staff', key)).status).toBe(401)
      expect((await call('GET', '/users', key)).status).toBe(401)
      expect((await asBoss('DELETE', `/api-keys/${id}`)).status).toBe(404)
      expect(await find(id)).toBeUndefined()
      // What it was, and who ended it, stays to be seen.
      const all = (await (await asBoss('GET', '/api-keys?limit=100&revoked=true')).json()) as { items: Made[] }
      expect(all.items.find((apiKey) => apiKey.id === id)).toMatchObject({
        name: 'gone',
        scopes: ['users:read'],
        revoked_at: new Date(application.clock.now).toISOString(),
        revoked_by: 'boss',
      } as never)
    })

    test('nothing once somebody who has found one has shown it to /auth/revoke', async () => {
      const { id, key } = await make({ name: 'found', scopes: ['users:read'] })
      const show = (token: string) =>
        application.call('/auth/revoke', { method: 'POST', body: new URLSearchParams({ token }) })
      // One that is mistyped ends none.
      expect((await show(`${key.slice(0, -1)}${key.endsWith('0') ? '1' : '0'}`)).status).toBe(200)
      expect((await call('GET', '/users', key)).status).toBe(200)
      expect((await show(key)).status).toBe(200)
      expect((await call('GET', '/users', key)).status).toBe(401)
      expect(application.lines.findLast(({ event }) => event === 'api_key.revoked')).toMatchObject({
        api_key: id,
        service: 'found',
        by: 'its holder',
      })
    })

    test('upstreams by their roles, under a name that is no user, with the id of the service', async () => {
      const { key, service_id } = await make({ name: 'boss', roles: ['staff', 'admin'] })
      const response = await call('GET', '/auth/verify?role=other&role=staff', key)
      expect(response.status).toBe(204)
      const identity = [...response.headers].filter(([name]) => name.startsWith('x-auth'))
      expect(Object.fromEntries(identity)).toEqual({
        'x-auth-user': 'service:boss',
        'x-auth-user-id': service_id,
        'x-auth-roles': 'staff,admin',
      })
      expect((await call('GET', '/auth/verify?role=other', key)).status).toBe(403)
      // The role is for others: here it opens nothing.
      for (const path of ['/users', '/blocks', '/api-keys'])
        expect([401, 403]).toContain((await call('GET', path, key)).status)
    })

    test('nothing from any other place than the Authorization header', async () => {
      const key = await application.apiKey({ scopes: ['users:read'], roles: ['staff'] })
      const places: readonly (readonly [string, Record<string, string>])[] = [
        [`?api_key=${key}`, {}],
        [`?access_token=${key}`, {}],
        ['', { 'x-api-key': key }],
        ['', { cookie: `audittrail_device=${key}; api_key=${key}` }],
        ['', { authorization: key }],
        ['', { authorization: `Token ${key}` }],
        ['', { authorization: `ApiKey ${key}` }],
        ['', { authorization: `Bearer ${key},${key}` }],
        ['', { authorization: `Basic ${Buffer.from(`x:${key}`).toString('base64')}` }],
      ]
      for (const [query, headers] of places)
        expect((await application.call(`/users${query}`, { headers })).status).toBe(401)
    })

    test('no way to make, change or renew a key', async () => {
      const everything = { scopes: ['introspect', 'users:read', 'users:write'], roles: ['admin'] }
      const { id, key } = await make({ name: 'climber', ...everything })
      const before = await find(id)
      for (const [method, path] of [
        ['POST', '/api-keys'],
        ['GET', '/api-keys'],
        ['DELETE', `/api-keys/${id}`],
      ] as const)
        expect(
          (await call(method, path, key, method === 'POST' ? { name: 'x', ...everything } : undefined)).status,
        ).toBe(401)
      for (const method of ['PATCH', 'PUT', 'POST'])
        expect((await call(method, `/api-keys/${id}`, key, { expires_at: null })).status).toBe(405)
      // Nor is there one for an administrator: a key stays as it was made.
      expect((await asBoss('PATCH', `/api-keys/${id}`, { expires_at: null })).status).toBe(405)
      expect({ ...(await find(id)), last_used_at: null }).toEqual({ ...before, last_used_at: null } as never)
    })
  })

  describe('of the scope users:write', () => {
    const writer = () => application.apiKey({ scopes: ['users:read', 'users:write'] })

    test('do what administrators do with all other users', async () => {
      const key = await writer()
      const draft = { username: `made-${kind.length}`, full_name: 'Made', password: good, roles: ['staff'] }
      const made = await call('POST', '/users', key, { ...draft, must_change_password: false })
      expect(made.status).toBe(201)
      const { id } = (await made.json()) as { id: string }
      expect((await call('PATCH', `/users/${id}`, key, { full_name: 'Changed', roles: ['other'] })).status).toBe(200)
      expect((await call('POST', `/users/${id}/password`, key, {})).status).toBe(200)
      expect((await call('DELETE', `/users/${id}/sessions`, key)).status).toBe(204)
      const shown = (await (await call('GET', `/users/${id}`, key)).json()) as object
      expect(shown).toMatchObject({ full_name: 'Changed', roles: ['other'] })
      expect((await call('DELETE', `/users/${id}`, key)).status).toBe(204)
      const by = application.lines.findLast(({ event }) => event === 'user.deleted')?.by
      expect(by).toMatch(/^service:machine\/[0-9a-f-]{36}$/)
    })

    test('make no administrator', async () => {
      const key = await writer()
      const draft = { username: 'usurper', full_name: 'U', password: good, must_change_password: false }
      expect((await call('POST', '/users', key, { ...draft, roles: ['staff', 'admin'] })).status).toBe(403)
      const made = (await (await call('POST', '/users', key, draft)).json()) as { id: string }
      const raised = await call('PATCH', `/users/${made.id}`, key, { roles: ['admin'] })
      expect(raised.status).toBe(403)
      expect(((await raised.json()) as { detail: string }).detail).toContain('the role admin')
      expect(application.lines.findLast(({ event }) => event === 'administrator.spared')).toMatchObject({
        level: 'warn',
      })
      const token = await application.accessToken('usurper', good)
      expect((await call('POST', '/api-keys', token, { name: 'x', roles: ['x'] })).status).toBe(403)
    })

    test('leave every administrator alone, a disabled one too', async () => {
      const key = await writer()
      await application.sql("UPDATE users SET is_active = false WHERE username = 'second'")
      for (const username of ['boss', 'second']) {
        const id = await idOf(username)
        const before = await application.sql(`SELECT * FROM users WHERE id = '${id}'`)
        const signedIn = username === 'boss' ? await application.accessToken('boss', good) : undefined
        const attempts = [
          await call('PATCH', `/users/${id}`, key, { roles: [] }),
          await call('PATCH', `/users/${id}`, key, { is_active: true }),
          await call('PATCH', `/users/${id}`, key, { full_name: 'X' }),
          await call('POST', `/users/${id}/password`, key, {
            password: 'another pass phrase',
            must_change_password: false,
          }),
          await call('POST', `/users/${id}/password`, key, {}),
          await call('DELETE', `/users/${id}/sessions`, key),
          await call('DELETE', `/users/${id}`, key),
        ]
        expect(attempts.map(({ status }) => status)).toEqual(attempts.map(() => 403))
        expect(await application.sql(`SELECT * FROM users WHERE id = '${id}'`)).toEqual(before)
        if (signedIn) expect((await application.me(signedIn)).status).toBe(200)
      }
    })

    test('leave alone whoever becomes an administrator while the password is being hashed', async () => {
      const id = await idOf('ada')
      const [before] = await application.sql(`SELECT hashed_password FROM users WHERE id = '${id}'`)
      await application.sql(`UPDATE users SET roles = '{admin}' WHERE id = '${id}'`)
      const password = { hash: 'x', mustChange: false, sparesAdministrators: true }
      expect(await application.deps.database.users.updatePassword(id, password, new Date())).toBeUndefined()
      expect(await application.sql(`SELECT hashed_password FROM users WHERE id = '${id}'`)).toEqual([before as never])
      await application.sql(`UPDATE users SET roles = '{staff}' WHERE id = '${id}'`)
    })

    test('are told that they leave an administrator alone, though it is none again when that is looked up', async () => {
      const id = await idOf('ada')
      const actor = { name: 'service:test', canManageAdministrators: false }
      const { deps } = application
      const { users } = deps.database
      const updatePassword: typeof users.updatePassword = async (...change) => {
        await application.sql(`UPDATE users SET roles = '{admin}' WHERE id = '${id}'`)
        const outcome = await users.updatePassword(...change)
        await application.sql(`UPDATE users SET roles = '{staff}' WHERE id = '${id}'`)
        return outcome
      }
      const promoting = { ...deps, database: { ...deps.database, users: { ...users, updatePassword } } }
      const error = await resetPassword(promoting, actor, id).catch((refusal: unknown) => refusal)
      expect(error).toMatchObject({ code: 'forbidden' })
    })

    test('leave alone the sessions of whoever becomes an administrator while they ask', async () => {
      const id = await idOf('ada')
      const actor = { name: 'service:test', canManageAdministrators: false }
      const { deps } = application
      const { users } = deps.database
      // The promotion comes behind the look at the user, and before the end of the sessions.
      const findUser = async (wanted: string) => {
        const found = await users.findUser(wanted)
        await application.sql(`UPDATE users SET roles = '{admin}' WHERE id = '${id}'`)
        return found
      }
      const promoting = { ...deps, database: { ...deps.database, users: { ...users, findUser } } }
      const token = await application.accessToken('ada', good)
      const error = await endSessionsOf(promoting, actor, id).catch((refusal: unknown) => refusal)
      expect(error).toMatchObject({ code: 'forbidden' })
      expect((await application.me(token)).status).toBe(200)
      await application.sql(`UPDATE users SET roles = '{staff}' WHERE id = '${id}'`)
    })
  })

  describe('keep', () => {
    test('nothing of themselves in the database, nor in the log', async () => {
      const { key } = await make({ name: 'secretive', scopes: ['users:read'], roles: ['staff'] })
      await call('GET', '/users', key)
      await application.call(`/${key}`)
      await application.call(`/users?after=${key}`, { headers: { authorization: `Bearer ${key}x` } })
      const tables = await application.sql(`SELECT table_schema || '.' || quote_ident(table_name) AS name
        FROM information_schema.tables WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('pg_catalog', 'information_schema')`)
      expect(tables.length).toBeGreaterThan(7)
      const secret = key.slice('atk_'.length, -6)
      const parts = [
        key,
        secret,
        secret.slice(0, 8),
        secret.slice(-8),
        Buffer.from(key).toString('base64').slice(0, -2),
      ]
      for (const { name } of tables) {
        const rows = JSON.stringify(await application.sql(`SELECT to_json(t)::text AS row FROM ${name} t`))
        for (const part of parts) expect(rows).not.toContain(part)
      }
      const lines = JSON.stringify(application.lines)
      for (const part of parts) expect(lines).not.toContain(part)
    })

    test('when they were last used, written once a minute at most', async () => {
      const { id, key } = await make({ name: 'busy', scopes: ['users:read'], roles: ['staff'] })
      const writes = async () =>
        String((await application.sql(`SELECT xmin::text FROM audittrail_api_keys WHERE id = '${id}'`))[0]?.xmin)
      const first = new Date(application.clock.now).toISOString()
      const made = await writes()
      for (let use = 0; use < 5; use++) await call('GET', '/users', key)
      await call('GET', '/auth/verify', key)
      await until(async () => (await find(id))?.last_used_at === first)
      const noted = await writes()
      expect(noted).not.toBe(made)
      application.clock.now += 59_999
      await call('GET', '/users', key)
      await settled(application)
      expect([await writes(), (await find(id))?.last_used_at]).toEqual([noted, first])
      application.clock.now += 1
      const later = new Date(application.clock.now).toISOString()
      await Promise.all(Array.from({ length: 20 }, () => call('GET', '/users', key)))
      await until(async () => (await find(id))?.last_used_at === later)
    })

    test('when they were last used, though a clock was a day ahead once', async () => {
      const { id, key } = await make({ name: 'early', scopes: ['users:read'] })
      const { now } = application.clock
      application.clock.now = now + day
      await call('GET', '/users', key)
      await until(async () => (await find(id))?.last_used_at === new Date(now + day).toISOString())
      application.clock.now = now
      await call('GET', '/users', key)
      await until(async () => (await find(id))?.last_used_at === new Date(now).toISOString())
    })

    test('serving while nothing can be noted', async () => {
      const { key } = await make({ name: 'unnoted', scopes: ['users:read'] })
      await application.sql('ALTER TABLE audittrail_api_keys RENAME COLUMN last_used_at TO hidden')
      await application.sql(
        'ALTER TABLE audittrail_api_keys ADD COLUMN last_used_at timestamptz GENERATED ALWAYS AS (NULL) STORED',
      )
      expect((await call('GET', '/users', key)).status).toBe(200)
      await until(async () => application.lines.some(({ event }) => event === 'api_key.use_not_noted'))
      await application.sql('ALTER TABLE audittrail_api_keys DROP COLUMN last_used_at')
      await application.sql('ALTER TABLE audittrail_api_keys RENAME COLUMN hidden TO last_used_at')
      expect((await call('GET', '/users', key)).status).toBe(200)
    })
  })

  test('are listed page by page, the latest first, each once', async () => {
    for (let at = 0; at < 5; at++) {
      application.clock.now += at % 2
      await application.apiKey({ name: `page-${at}`, roles: ['x'] })
    }
    const all = (await listed()).map(({ id }) => id)
    const seen: string[] = []
    let after = ''
    do {
      const page = (await (await asBoss('GET', `/api-keys?limit=3${after}`)).json()) as {
        items: Made[]
        next: string | null
      }
      seen.push(...page.items.map(({ id }) => id))
      after = page.next === null ? '' : `&after=${page.next}`
    } while (after !== '')
    expect(seen).toEqual(all)
    expect((await asBoss('GET', '/api-keys?after=nonsense')).status).toBe(422)
  })

  test.each(['/api-keys', '/blocks'])('%s has no page behind a moment that there is not', async (path) => {
    const id = crypto.randomUUID()
    for (const moment of ['0000-01-01T00:00:00.000Z', '2026-02-30T00:00:00.000Z', '2026-01-01T24:00:00.000Z']) {
      const after = Buffer.from(`${moment} ${id}`).toString('base64url')
      expect((await asBoss('GET', `${path}?after=${after}`)).status).toBe(422)
    }
  })

  test('that try doors which no key opens are in the log, and the client learns no more of a good one', async () => {
    const { id, key } = await make({ name: 'prying', scopes: ['users:write'], roles: ['admin'] })
    for (const [method, path] of [
      ['POST', '/api-keys'],
      ['DELETE', `/api-keys/${id}`],
      ['GET', '/blocks'],
      ['GET', '/auth/me'],
      ['POST', '/auth/password'],
      ['GET', '/auth/sessions'],
    ] as const) {
      const bodies = []
      for (const shown of [key, 'atk_nonsense']) {
        const response = await call(method, path, shown)
        const { request_id: _, ...body } = (await response.json()) as Record<string, unknown>
        bodies.push([response.status, body])
      }
      expect(bodies[0]).toEqual(bodies[1] as never)
      expect(bodies[0]?.[0]).toBe(401)
      const [good, bad] = application.lines.filter(({ event }) => event === 'api_key.refused').slice(-2)
      expect(good).toMatchObject({ reason: 'scope', api_key: id, service: 'prying', address: '192.0.2.7' })
      expect(bad).toMatchObject({ reason: 'malformed' })
    }
  })

  test('that are refused cost no hash, are all alike to a client, and are told apart in the log and the metrics', async () => {
    const before = Number(/^audittrail_hash_duration_seconds_count (\d+)/m.exec(await application.metrics())?.[1])
    const past = new Date(application.clock.now + 1000).toISOString()
    const expired = await application.apiKey({ scopes: ['users:read'], expires_at: past })
    const revoked = await application.apiKey({ scopes: ['users:read'] })
    await application.call('/auth/revoke', { method: 'POST', body: new URLSearchParams({ token: revoked }) })
    application.clock.now += 1000
    const bodies = []
    for (const key of [expired, revoked, generateApiKey(), 'atk_nonsense']) {
      const response = await call('GET', '/users', key)
      const { request_id: _, ...body } = (await response.json()) as Record<string, unknown>
      bodies.push([response.status, body])
    }
    expect(bodies[1]).toEqual(bodies[0] as never)
    expect(bodies[2]).toEqual(bodies[0] as never)
    expect(bodies[3]).toEqual(bodies[0] as never)
    const reasons = application.lines.filter(({ event }) => event === 'api_key.refused').slice(-4)
    expect(reasons.map(({ reason }) => reason)).toEqual(['expired', 'revoked', 'unknown', 'malformed'])
    expect(reasons[0]).toMatchObject({ service: 'machine', address: '192.0.2.7', level: 'warn' })
    const metrics = await application.metrics()
    for (const outcome of ['accepted', 'scope', 'expired', 'revoked', 'unknown', 'malformed'])
      expect(metrics).toMatch(new RegExp(`^audittrail_api_keys_shown_total{outcome="${outcome}"} [1-9]`, 'm'))
    expect(Number(/^audittrail_hash_duration_seconds_count (\d+)/m.exec(metrics)?.[1])).toBe(before)
  })
})

describe('while the table of keys takes no changes', () => {
  test('notes of their use take one connection, were there a hundred keys, and are made afterwards', async () => {
    const application = await openTestApplication('PostgreSQL')
    const keys = await Promise.all(
      Array.from({ length: 100 }, (_, at) => application.apiKey({ name: `held-${at}`, roles: ['x'] })),
    )
    // As long as an index is built, somebody's session says no.
    const held = application.sql('BEGIN; LOCK TABLE audittrail_api_keys IN SHARE MODE; SELECT pg_sleep(1); COMMIT')
    const count = async (what: string) => Number((await application.sql(`SELECT count(*) AS n FROM ${what}`))[0]?.n)
    await until(async () => (await count("pg_locks WHERE mode = 'ShareLock' AND granted")) > 0)
    const verify = (key: string) => application.call('/auth/verify', { headers: { authorization: `Bearer ${key}` } })
    const answers = await Promise.all(keys.map(verify))
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([204]))
    const waiting = "pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    await until(async () => (await count(waiting)) > 0)
    expect(await count(waiting)).toBe(1)
    await held
    await until(async () => (await count('audittrail_api_keys WHERE last_used_at IS NULL')) === 0)
    await application.close()
  })
})

describe('while the database cannot be asked', () => {
  test('no key opens anything: 503 with Retry-After', async () => {
    const cut = await openTestApplication('PostgreSQL')
    const key = await cut.apiKey({ scopes: ['users:read', 'introspect'], roles: ['staff'] })
    const headers = { authorization: `Bearer ${key}` }
    await cut.sql('ALTER TABLE audittrail_api_keys RENAME TO gone')
    const body = new URLSearchParams({ token: key })
    const answers = [
      await cut.call('/users', { headers }),
      await cut.call('/auth/verify', { headers }),
      await cut.call('/auth/introspect', { method: 'POST', headers, body }),
    ]
    for (const answer of answers) expect([answer.status, answer.headers.has('retry-after')]).toEqual([503, true])
    await cut.close()
  })

  test('no key is half revoked: what is not answered and recorded has not been done', async () => {
    const cut = await openTestApplication('PostgreSQL')
    const token = await cut.apiKey({ scopes: ['users:read'] })
    await cut.sql('ALTER TABLE audittrail_services RENAME TO gone')
    const body = new URLSearchParams({ token })
    expect((await cut.call('/auth/revoke', { method: 'POST', body })).status).toBe(503)
    expect(await cut.sql('SELECT scopes FROM audittrail_api_keys')).toHaveLength(1)
    await cut.close()
  })
})

test('a key is found by an index, were there a hundred thousand', async () => {
  const application = await openTestApplication('PostgreSQL')
  await application.apiKey({ name: 'first', roles: ['x'] })
  await application.sql(`INSERT INTO audittrail_api_keys (service_id, digest, created_by, created_at)
    SELECT s.id, md5(i::text), 'test', now() FROM audittrail_services s, generate_series(1, 100000) i`)
  await application.sql('ANALYZE audittrail_api_keys')
  const plan = await application.sql(`EXPLAIN SELECT k.*, s.name FROM audittrail_api_keys k
    JOIN audittrail_services s ON s.id = k.service_id WHERE k.digest = md5('5')`)
  expect(JSON.stringify(plan)).toContain('audittrail_api_keys_digest_unique')
  await application.close()
})

/** Lets what was begun and nobody waits for come to its end: the database answers in order, or has answered twice since. */
async function settled(application: TestApplication): Promise<void> {
  for (let round = 0; round < 3; round++) await application.sql('SELECT 1')
}

async function until(isSo: () => Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + 10_000; Date.now() < deadline; await Bun.sleep(5)) if (await isSo()) return
  throw new Error('not within ten seconds')
}
