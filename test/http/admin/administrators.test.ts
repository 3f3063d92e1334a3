import { describe, expect, test } from 'bun:test'
import { openTestApplication } from '../../application.ts'

describe('the last active administrator', () => {
  test('cannot be disabled, demoted or deleted', async () => {
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

  test('remains after any number of concurrent requests', async () => {
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
