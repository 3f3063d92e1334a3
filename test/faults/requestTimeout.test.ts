import { describe, expect, test } from 'bun:test'
import { openTestApplication } from '../application.ts'

describe('request timeout', () => {
  test('returns 503 with Retry-After in the format of the endpoint', async () => {
    const application = await openTestApplication('PostgreSQL', { timeout: 1500 })
    const token = await application.accessToken()
    const release = await application.hold('LOCK TABLE users IN ACCESS EXCLUSIVE MODE')
    const [me, login] = await Promise.all([application.me(token), application.login()])
    for (const response of [me, login]) {
      expect(response.status).toBe(503)
      expect(response.headers.get('retry-after')).toBe('2')
      expect(await response.json()).toMatchObject({ type: 'urn:audittrail:problem:overloaded' })
    }
    expect(login.headers.get('content-type')).toBe('application/json')
    await release()
    expect((await application.me(token)).status).toBe(200)
    await application.close()
  })

  test('leaves no later effect: no session, user or password changes', async () => {
    const application = await openTestApplication('PostgreSQL', { timeout: 3000 })
    const { hashQueue } = application.deps
    const token = await application.accessToken()
    const next = 'a long enough pass phrase'
    const change = () =>
      application.call('/auth/password', {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: JSON.stringify({ current_password: 'changeme', new_password: next }),
      })
    const key = await application.apiKey({ scopes: ['users:write'] })
    const asService = (path: string, body: object) =>
      application.call(path, {
        method: 'POST',
        headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
        body: JSON.stringify(body),
      })
    const created = await asService('/users', { username: 'ada', full_name: 'Ada' })
    const { id } = (await created.json()) as { id: string }
    const users = async () =>
      JSON.stringify(await application.sql('SELECT username, hashed_password FROM users ORDER BY 1'))
    const usersBefore = await users()
    const sessions = async () => (await application.sql('SELECT id FROM audittrail_sessions')).length
    const before = await sessions()
    const { promise: busy, resolve } = Promise.withResolvers<void>()
    const holders = Array.from({ length: 2 }, () => hashQueue.run(() => busy))
    const late = await Promise.all([
      change(),
      application.login(),
      asService('/users', { username: 'eve', full_name: 'Eve' }),
      asService(`/users/${id}/password`, {}),
    ])
    expect(late.map(({ status }) => status)).toEqual([503, 503, 503, 503])
    // Timed-out requests leave the queue.
    expect(hashQueue.waiting).toBe(0)
    resolve()
    await Promise.all(holders)
    await hashQueue.run(async () => {})
    await Bun.sleep(300)
    expect(await sessions()).toBe(before)
    expect(await users()).toBe(usersBefore)
    expect((await application.login('admin', next)).status).toBe(401)
    expect((await application.login()).status).toBe(200)
    expect((await change()).status).toBe(204)
    await application.close()
  })
})
