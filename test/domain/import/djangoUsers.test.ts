import { describe, expect, test } from 'bun:test'
import { djangoUsers } from '../../../src/domain/import/djangoUsers.ts'

const password = 'pbkdf2_sha256$1000$abcDEF12345$WWi5uYuD0uFiS2VQpasqK5GTIu7n3UXWbl2FFZpjhFU='
const fields = { username: 'ada', password }

describe('a row of a Django dump', () => {
  const titled = (rows: readonly (readonly [string, Record<string, unknown>])[]) =>
    rows.map(([model, row]) => [model, Object.keys(row).join(', '), row] as const)

  test.each(
    titled([
      ['auth.user', fields],
      ['auth.User', fields],
      ['accounts.user', { ...fields, last_login: null }],
      ['members.member', { email: 'ada@example.org', password, last_login: '2024-01-02T03:04:05Z' }],
      ['core.account', { ...fields, is_superuser: false }],
      ['shop.customer', { ...fields, is_staff: false }],
      ['shop.customer', { ...fields, user_permissions: [] }],
      ['accounts.user', fields],
      ['users.customuser', { ...fields, is_active: true }],
    ]),
  )('of the model %s with the fields %s is a user', (model, _fields, row) => {
    expect(djangoUsers(false)({ model, pk: 1, fields: row })).toMatchObject({ hashed_password: password })
  })

  test.each(
    titled([
      ['mail.mailserver', { host: 'smtp.example', ...fields }],
      ['wagtailcore.pageviewrestriction', { page: 3, restriction_type: 'password', password: 'letmein' }],
      ['ftp.account', { ...fields, is_active: true }],
      ['mail.mailuser', { ...fields, host: 'imap.example' }],
      ['legacy.connection', { ...fields, email: 'a@example.org', date_joined: '2024-01-02T03:04:05Z' }],
      ['auth.permission', { name: 'Can add' }],
      ['auth.group', { name: 'editors' }],
      ['accounts.user', { username: 'ada', last_login: null }],
    ]),
  )('of the model %s with the fields %s is not a user', (model, _fields, row) => {
    expect(djangoUsers(false)({ model, pk: 1, fields: row })).toBeUndefined()
  })

  test('of a superuser gets the role admin only on request', () => {
    const superuser = { model: 'auth.user', pk: 1, fields: { ...fields, is_superuser: true } }
    expect(djangoUsers(false)(superuser)).not.toHaveProperty('roles')
    expect(djangoUsers(true)(superuser)).toMatchObject({ roles: ['admin'] })
    for (const is_superuser of [false, null, 'true', 1, undefined]) {
      expect(djangoUsers(true)({ ...superuser, fields: { ...fields, is_superuser } })).not.toHaveProperty('roles')
    }
  })

  test.each([
    ['auth.user', 'forum.user'],
    ['accounts.user', 'shop.customer'],
  ])('of the model %s is a user, and then no other model is', (model, other) => {
    const translate = djangoUsers(false)
    const row = { ...fields, last_login: null }
    expect(translate({ model, pk: 1, fields: row })).toBeDefined()
    expect(translate({ model: other, pk: 1, fields: row })).toBeUndefined()
    expect(translate({ model, pk: 2, fields: row })).toBeDefined()
  })
})
