import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import type { AuditedStatements } from '../../../src/db/database.ts'
import { endSessionsOf, resetPassword } from '../../../src/domain/users/users.ts'
import { databaseKinds, openTestApplication, type TestApplication } from '../../application.ts'
import { good } from '../accounts.ts'
import { createApiKeyCalls, insertUsers } from '../apiKeyCalls.ts'

describe.each(databaseKinds)('an API key with the scope users:write on %s', (kind) => {
  let application: TestApplication
  beforeAll(async () => {
    application = await openTestApplication(kind)
    await insertUsers(application)
  })
  afterAll(() => application.close())

  const { call, idOf } = createApiKeyCalls(() => application)

  const writer = () => application.apiKey({ scopes: ['users:read', 'users:write'] })

  test('manages users who are not administrators', async () => {
    const key = await writer()
    const draft = { username: `made-${kind.length}`, full_name: 'Made', password: good, roles: ['staff'] }
    const made = await call('POST', '/users', key, { ...draft, must_change_password: false })
    expect(made.status).toBe(201)
    const { id } = (await made.json()) as { id: string }
    expect((await call('PATCH', `/users/${id}`, key, { full_name: 'Changed', roles: ['other'] })).status).toBe(200)
    expect((await call('POST', `/users/${id}/password`, key, {})).status).toBe(200)
    expect((await call('DELETE', `/users/${id}/sessions`, key)).status).toBe(204)
    const updated = (await (await call('GET', `/users/${id}`, key)).json()) as object
    expect(updated).toMatchObject({ full_name: 'Changed', roles: ['other'] })
    expect((await call('DELETE', `/users/${id}`, key)).status).toBe(204)
    const by = application.lines.findLast(({ event }) => event === 'user.deleted')?.by
    expect(by).toMatch(/^service:machine\/[0-9a-f-]{36}$/)
  })

  test('cannot create an administrator', async () => {
    const key = await writer()
    const draft = { username: 'usurper', full_name: 'U', password: good, must_change_password: false }
    expect((await call('POST', '/users', key, { ...draft, roles: ['staff', 'admin'] })).status).toBe(403)
    const made = (await (await call('POST', '/users', key, draft)).json()) as { id: string }
    const promotion = await call('PATCH', `/users/${made.id}`, key, { roles: ['admin'] })
    expect(promotion.status).toBe(403)
    expect(((await promotion.json()) as { detail: string }).detail).toContain('the role admin')
    expect(application.lines.findLast(({ event }) => event === 'administrator.spared')).toMatchObject({
      level: 'warn',
    })
    const token = await application.accessToken('usurper', good)
    expect((await call('POST', '/api-keys', token, { name: 'x', roles: ['x'] })).status).toBe(403)
  })

  test('cannot change an administrator, not even a disabled one', async () => {
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

  test('does not reset the password of a user who becomes an administrator during hashing', async () => {
    const id = await idOf('ada')
    const [before] = await application.sql(`SELECT hashed_password FROM users WHERE id = '${id}'`)
    await application.sql(`UPDATE users SET roles = '{admin}' WHERE id = '${id}'`)
    const password = { hash: 'x', mustChange: false, protectsAdministrators: true }
    expect(await application.deps.database.users.updatePassword(id, password, new Date())).toBe(
      'protected_administrator',
    )
    expect(await application.sql(`SELECT hashed_password FROM users WHERE id = '${id}'`)).toEqual([before as never])
    await application.sql(`UPDATE users SET roles = '{staff}' WHERE id = '${id}'`)
  })

  test('gets 403 for a reset even if the user is no longer an administrator afterwards', async () => {
    const id = await idOf('ada')
    const actor = { name: 'service:test', canManageAdministrators: false }
    const { deps } = application
    const promoted = ({ users }: AuditedStatements): AuditedStatements['users'] => ({
      ...users,
      updatePassword: async (...change) => {
        await users.updateUser(id, { roles: ['admin'] }, false)
        const outcome = await users.updatePassword(...change)
        await users.updateUser(id, { roles: ['staff'] }, false)
        return outcome
      },
    })
    const withEvents: typeof deps.database.withEvents = (change, eventsOf) =>
      deps.database.withEvents((statements) => change({ ...statements, users: promoted(statements) }), eventsOf)
    const promoting = { ...deps, database: { ...deps.database, withEvents } }
    const error = await resetPassword(promoting, actor, id).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'forbidden' })
  })

  test('does not end the sessions of a user who becomes an administrator during the request', async () => {
    const id = await idOf('ada')
    const actor = { name: 'service:test', canManageAdministrators: false }
    const { deps } = application
    const { users } = deps.database
    // The user is promoted after the lookup and before the sessions end.
    const findUser = async (wanted: string) => {
      const found = await users.findUser(wanted)
      await application.sql(`UPDATE users SET roles = '{admin}' WHERE id = '${id}'`)
      return found
    }
    const promoting = { ...deps, database: { ...deps.database, users: { ...users, findUser } } }
    const token = await application.accessToken('ada', good)
    const error = await endSessionsOf(promoting, actor, id).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'forbidden' })
    expect((await application.me(token)).status).toBe(200)
    await application.sql(`UPDATE users SET roles = '{staff}' WHERE id = '${id}'`)
  })
})
