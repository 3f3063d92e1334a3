import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { databaseKinds, openTestApplication, type TestApplication } from '../../application.ts'
import { createAccounts, good } from '../accounts.ts'

describe.each(databaseKinds)('a password change on %s', (kind) => {
  let application: TestApplication
  beforeAll(async () => {
    application = await openTestApplication(kind)
  })
  afterAll(() => application.close())

  const { json, makeAdministrator, makeUser, newName, signIn, statusOfMe } = createAccounts(() => application)

  test('ends the other sessions and keeps the current one', async () => {
    const { username } = await makeUser()
    const [here, there] = [await signIn(username), await signIn(username)]
    const next = 'another pass phrase, long enough'
    const response = await json('POST', '/auth/password', here.access_token, {
      current_password: good,
      new_password: next,
    })
    expect(response.status).toBe(204)
    expect(await statusOfMe(here.access_token)).toBe(200)
    expect(await statusOfMe(there.access_token)).toBe(401)
    expect((await application.login(username, good)).status).toBe(401)
    expect((await application.login(username, next)).status).toBe(200)
  })

  test.each([
    ['current_password', { current_password: 'wrong', new_password: 'another pass phrase' }, 'is incorrect'],
    ['new_password', { current_password: good, new_password: good }, 'must differ from the current password'],
    ['new_password', { current_password: good, new_password: 'short' }, 'must have at least 12 characters'],
    ['new_password', { current_password: good, new_password: 'x'.repeat(1025) }, 'must have at most 1024 characters'],
    ['new_password', { current_password: good, new_password: `another${good}\n` }, 'must not contain line breaks'],
    ['new_password', { current_password: good, new_password: 'Administrator1!' }, 'must not be a common password'],
    ['new_password', { current_password: good, new_password: 'qwertyuiop2026' }, 'must not be a common password'],
    ['new_password', { current_password: good, new_password: 'usuckballz1!' }, 'must not be a common password'],
  ])('rejects an invalid %s and names the rule', async (field, body, rule) => {
    const grant = await signIn((await makeUser()).username)
    const response = await json('POST', '/auth/password', grant.access_token, body)
    expect(response.status).toBe(422)
    const problem = (await response.json()) as { errors: { field: string; message: string }[] }
    expect(problem.errors[0]?.field).toBe(field)
    expect(problem.errors[0]?.message).toContain(rule)
  })

  test('has no effect if the session ends during hashing', async () => {
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

  test('ends the quarantine of a new user at the next login', async () => {
    const { token } = await makeAdministrator()
    const made = (await (await json('POST', '/users', token, { username: newName('q'), full_name: 'Q' })).json()) as {
      username: string
      one_time_password: string
      must_change_password: boolean
    }
    expect(made.must_change_password).toBe(true)
    expect(made.one_time_password).toMatch(/^([a-zT2-9]{6}-){3}[a-zT2-9]{6}$/)
    const first = await signIn(made.username, made.one_time_password)
    expect(first.refresh_token).toBeUndefined()
    expect(await statusOfMe(first.access_token)).toBe(200)
    const rejected = await json('GET', '/auth/sessions', first.access_token)
    expect([rejected.status, ((await rejected.json()) as { type: string }).type]).toEqual([
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
