import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { openTestApplication, type TestApplication } from '../../application.ts'

describe('a JSON body', () => {
  let application: TestApplication
  let token: string
  beforeAll(async () => {
    application = await openTestApplication('PostgreSQL')
    await application.sql('UPDATE users SET must_change_password = false')
    token = await application.accessToken()
  })
  afterAll(() => application.close())

  const hostile = [
    '{"toString":null}',
    '{"valueOf":null,"toString":null}',
    '{"toString":{"toString":null}}',
    '[{"toString":null}]',
    '[[{"toString":"x"}]]',
    '{"toJSON":null}',
    '{}',
  ]
  test.each([
    ...['username', 'full_name', 'password', 'roles', 'must_change_password'].map(
      (field) => ['/users', field] as const,
    ),
    ...['name', 'scopes', 'roles', 'expires_at', 'days'].map((field) => ['/api-keys', field] as const),
    ...['current_password', 'new_password'].map((field) => ['/auth/password', field] as const),
  ])('for %s with objects in %s returns 422, whatever their members', async (path, field) => {
    for (const value of hostile) {
      const response = await application.call(path, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: `{"${field}":${value}}`,
      })
      expect([field, value, response.status]).toEqual([field, value, 422])
    }
  })
})
