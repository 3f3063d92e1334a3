import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { databaseKinds, openTestApplication, type TestApplication } from '../../application.ts'
import { createAccounts, good } from '../accounts.ts'

describe.each(databaseKinds)('user administration on %s', (kind) => {
  let application: TestApplication
  beforeAll(async () => {
    application = await openTestApplication(kind)
  })
  afterAll(() => application.close())

  const { json, makeAdministrator, makeUser, newName, signIn, statusOfMe } = createAccounts(() => application)

  test('rejects control characters in a new and a reset password', async () => {
    const { token } = await makeAdministrator()
    const { id } = await makeUser()
    for (const password of [`${good}\n`, `${good}\t1`, `\u001b${good}`, `${good}\u009b`]) {
      const draft = { username: newName('Bell.'), full_name: 'Bell', password }
      for (const response of [
        await json('POST', '/users', token, draft),
        await json('POST', `/users/${id}/password`, token, { password }),
      ]) {
        expect(response.status).toBe(422)
        expect(await response.text()).toContain('must not contain line breaks, tabs or other control characters')
      }
    }
  })

  test('ends the sessions of a user who has none', async () => {
    const { token } = await makeAdministrator()
    const { id } = await makeUser()
    expect((await json('DELETE', `/users/${id}/sessions`, token)).status).toBe(204)
    expect(application.lines.findLast(({ event }) => event === 'sessions.ended')).toMatchObject({ ended: 0 })
    const writer = await application.apiKey({ scopes: ['users:write'] })
    const { id: administrator } = await makeUser(['admin'])
    expect((await json('DELETE', `/users/${administrator}/sessions`, writer)).status).toBe(403)
    expect((await json('DELETE', `/users/${crypto.randomUUID()}/sessions`, token)).status).toBe(404)
  })

  test('creates, lists, reads, updates and deletes users', async () => {
    const { token } = await makeAdministrator()
    const username = newName('Made.')
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
    const found = (await (await json('GET', `/users?q=${username.slice(0, -1).toLowerCase()}`, token)).json()) as {
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

  test('resets a password, which ends every session of the user', async () => {
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

  test('applies a removed role on the next request', async () => {
    const first = await makeAdministrator()
    const second = await makeAdministrator()
    expect((await json('GET', '/users', second.token)).status).toBe(200)
    await json('PATCH', `/users/${second.id}`, first.token, { roles: [] })
    expect((await json('GET', '/users', second.token)).status).toBe(403)
  })

  test.each([
    ['an unknown member', { username: 'x', full_name: 'X', is_active: false, id: 'y' }, 422],
    ['a hash', { username: 'x', full_name: 'X', hashed_password: 'y' }, 422],
    ['an invalid username', { username: 'two words', full_name: 'X' }, 422],
    ['an invalid role', { username: 'x', full_name: 'X', roles: ['Admin'] }, 422],
    ['33 roles', { username: 'x', full_name: 'X', roles: Array.from({ length: 33 }, (_, index) => `r${index}`) }, 422],
    ['a full name on two lines', { username: 'x', full_name: 'X\nY' }, 422],
    [
      'a password equal to the username',
      { username: 'averylongname', full_name: 'X', password: 'AVeryLongName1' },
      422,
    ],
    ['no full name', { username: 'x' }, 422],
    ['a list', [], 422],
  ])('rejects a body with %s', async (_what, body, status) => {
    const { token } = await makeAdministrator()
    const response = await json('POST', '/users', token, body)
    expect(response.status).toBe(status)
    expect(await application.sql(`SELECT FROM users WHERE username IN ('x', 'averylongname')`)).toHaveLength(0)
  })

  test.each([
    ['a syntax error', '{"username":', 400],
    ['a repeated member', '{"username":"x","username":"y","full_name":"X"}', 400],
    ['a repeated member in escaped form', '{"username":"x","user\\u006eame":"y","full_name":"X"}', 400],
    ['a NUL', '{"username":"x","full_name":"X\\u0000"}', 400],
    ['a lone surrogate', '{"username":"x","full_name":"\\ud800"}', 400],
    ['too many levels', '[[[[[[[[[]]]]]]]]]', 400],
  ])('rejects JSON with %s', async (_what, body, status) => {
    const { token } = await makeAdministrator()
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
    expect((await application.call('/users', { method: 'POST', headers, body })).status).toBe(status)
    const other = { ...headers, 'content-type': 'text/plain' }
    expect((await application.call('/users', { method: 'POST', headers: other, body })).status).toBe(415)
  })
})
