import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { databaseKinds, openTestApplication, type TestApplication } from '../../application.ts'
import { createAccounts } from '../accounts.ts'

describe.each(databaseKinds)('a session on %s', (kind) => {
  let application: TestApplication
  beforeAll(async () => {
    application = await openTestApplication(kind)
  })
  afterAll(() => application.close())

  const { form, json, makeAdministrator, makeUser, refresh, signIn, statusOfMe } = createAccounts(() => application)

  test('ends at logout, with its tokens', async () => {
    const grant = await signIn((await makeUser()).username)
    expect((await json('POST', '/auth/logout', grant.access_token)).status).toBe(204)
    expect(await statusOfMe(grant.access_token)).toBe(401)
    expect((await refresh(grant.refresh_token)).status).toBe(400)
  })

  test("stays active at the logout of the user's other sessions", async () => {
    const { username } = await makeUser()
    const [first, second, there] = [await signIn(username), await signIn(username), await signIn(username)]
    expect((await json('POST', '/auth/logout', first.access_token)).status).toBe(204)
    expect((await json('POST', '/auth/logout?all=false', second.access_token)).status).toBe(204)
    expect(await statusOfMe(first.access_token)).toBe(401)
    expect(await statusOfMe(second.access_token)).toBe(401)
    expect(await statusOfMe(there.access_token)).toBe(200)
  })

  test('ends at the logout of all sessions', async () => {
    const { username } = await makeUser()
    const [here, there] = [await signIn(username), await signIn(username)]
    expect((await json('POST', '/auth/logout?all=true', here.access_token)).status).toBe(204)
    expect(await statusOfMe(there.access_token)).toBe(401)
  })

  test.each(['refresh_token', 'access_token'] as const)('ends when its %s is revoked', async (kindOfToken) => {
    const grant = await signIn((await makeUser()).username)
    const response = await form('/auth/revoke', { token: grant[kindOfToken], token_type_hint: 'whatever' })
    expect([response.status, await response.text()]).toEqual([200, ''])
    expect(await statusOfMe(grant.access_token)).toBe(401)
  })

  test('revoke returns 200 for an unknown token (RFC 7009 §2.2)', async () => {
    expect((await form('/auth/revoke', { token: 'nonsense' })).status).toBe(200)
  })

  test('is listed for its user, who can end it by id', async () => {
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

  test('is listed for an administrator, who can end it', async () => {
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
})
