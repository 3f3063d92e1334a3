import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { databaseKinds, hashOf, openTestApplication, type TestApplication } from '../../application.ts'
import { good } from '../accounts.ts'
import { createSignIns } from '../signIns.ts'

const names = [
  ['of 78 characters', 'anna-katharina.mustermann-von-der-beispielstadt@mail.example-gesellschaft.test'],
  ['of 51 characters', 'a'.repeat(51)],
  ['of 255 letters outside ASCII', 'Jörg'.padEnd(255, 'ü')],
  ['of 60 characters beyond U+FFFF', '🙂'.repeat(60)],
] as const

describe.each(databaseKinds)('an adopted user on %s', (kind) => {
  let application: TestApplication
  beforeAll(async () => {
    application = await openTestApplication(kind, { trustedProxies: ['127.0.0.1'] })
    await application.sql('ALTER TABLE users ALTER COLUMN username TYPE varchar(255)')
    await application.sql(`UPDATE users SET must_change_password = false`)
  })
  afterAll(() => application.close())

  const { guess, login, waitOf } = createSignIns(() => application)
  const addUser = async (username: string) => {
    const hash = await hashOf(good)
    const [row] = await application.sql(
      `INSERT INTO users (username, hashed_password, full_name) VALUES ('${username}', '${hash}', 'U') RETURNING id`,
    )
    return String(row?.id)
  }

  test.each(names)(
    'with a name %s is counted, logged, throttled, listed and unblocked like any other',
    async (_what, username) => {
      const id = await addUser(username)
      expect(await guess(username, 6)).toEqual([401, 401, 401, 401, 401, 401])
      expect(application.lines.findLast(({ event }) => event === 'login.failed')).toMatchObject({ username })
      expect(await waitOf(username)).toBeGreaterThan(0)
      const headers = { authorization: `Bearer ${await application.accessToken()}` }
      const { items } = (await (await application.call('/blocks', { headers })).json()) as {
        items: { username: string }[]
      }
      expect(items.map((block) => block.username)).toEqual([username])
      expect((await application.call(`/users/${id}/blocks`, { method: 'DELETE', headers })).status).toBe(204)
      expect(
        (
          await login(
            username.toUpperCase().replaceAll(/[ÜÖ]/g, (letter) => letter.toLowerCase()),
            good,
          )
        ).status,
      ).toBe(200)
      await application.sql(`DELETE FROM audittrail_attempts`)
    },
  )

  test('with a failure counted by the version before is listed and unblocked', async () => {
    const id = await addUser('older')
    const failedAt = new Date(application.clock.now).toISOString()
    await application.sql(`INSERT INTO audittrail_attempts (key, kind, username, network, failures, last_failed_at, forgotten_at)
      VALUES ('client x 192.0.2.9', 'client', 'Older', '192.0.2.9', 9, '${failedAt}', timestamptz '${failedAt}' + interval '15 minutes')`)
    const headers = { authorization: `Bearer ${await application.accessToken()}` }
    const blocks = async () => (await (await application.call('/blocks', { headers })).json()) as { items: unknown[] }
    expect(await blocks()).toMatchObject({ items: [{ username: 'Older' }] })
    expect((await application.call(`/users/${id}/blocks`, { method: 'DELETE', headers })).status).toBe(204)
    expect(await blocks()).toMatchObject({ items: [] })
  })

  test('with a name of up to 50 characters stays readable for the version before', async () => {
    const username = 'ü'.repeat(50)
    await addUser(username)
    await guess(username, 1)
    expect(
      await application.sql(
        `SELECT DISTINCT username, account_username FROM audittrail_attempts WHERE kind <> 'network'`,
      ),
    ).toEqual([{ username, account_username: username }])
  })

  test.each([
    ['infinity', '9999-12-31T23:59:59.999Z'],
    ['12345-01-01', '9999-12-31T23:59:59.999Z'],
    ['-infinity', '0001-01-01T00:00:00.000Z'],
    ['0044-03-15 BC', '0001-01-01T00:00:00.000Z'],
  ])('created at %s is listed with the nearest time of ISO 8601', async (stored, listed) => {
    const id = await addUser(`created ${stored}`)
    await application.sql(`UPDATE users SET created_at = '${stored}' WHERE id = '${id}'`)
    const headers = { authorization: `Bearer ${await application.accessToken()}` }
    const response = await application.call('/users?limit=100', { headers })
    expect(((await response.json()) as { items: unknown[] }).items).toContainEqual(
      expect.objectContaining({ id, created_at: listed }),
    )
  })
})
