import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { hashOf, openTestApplication, type TestApplication } from '../../application.ts'
import { good } from '../accounts.ts'
import { createSignIns } from '../signIns.ts'

let application: TestApplication
let token: string
beforeAll(async () => {
  application = await openTestApplication('PostgreSQL')
  const hash = await hashOf(good)
  await application.sql(`INSERT INTO users (username, hashed_password, full_name, roles) VALUES
    ('boss', '${hash}', 'B', '{admin}')`)
  token = await application.accessToken('boss', good)
})
afterAll(() => application.close())

async function problemOf(path: string, body?: object, method = body ? 'POST' : 'GET') {
  const response = await application.call(path, {
    method,
    headers: { authorization: `Bearer ${token}`, ...(body ? { 'content-type': 'application/json' } : {}) },
    ...(body ? { body: JSON.stringify(body) } : {}),
  })
  const { status, detail, errors } = (await response.json()) as { status: number; detail: string; errors?: object[] }
  return { status, detail, errors }
}

describe('a 422', () => {
  test.each<[string, string, object, object[]]>([
    [
      'missing fields',
      '/users',
      {},
      [
        { field: 'username', message: 'is missing' },
        { field: 'full_name', message: 'is missing' },
      ],
    ],
    [
      'fields of another type',
      '/users',
      { username: 1, full_name: null, roles: 'x', must_change_password: 'yes' },
      [
        { field: 'username', message: 'must be a string' },
        { field: 'full_name', message: 'must be a string' },
        { field: 'roles', message: 'must be a list of strings' },
        { field: 'must_change_password', message: 'must be true or false' },
      ],
    ],
    [
      'an entry of another type',
      '/users',
      { username: 'x', full_name: 'X', roles: ['a', 1, null] },
      [{ field: 'roles', message: 'must contain only strings' }],
    ],
    [
      'an empty password',
      '/users',
      { username: 'x', full_name: 'X', password: '' },
      [{ field: 'password', message: 'must not be empty' }],
    ],
    [
      'several invalid values',
      '/users',
      { username: 'a b', full_name: ' ', roles: ['A'] },
      [
        { field: 'username', message: 'must be 1 to 50 of the characters A-Z a-z 0-9 . _ @ + -' },
        { field: 'full_name', message: 'must be 1 to 100 characters on one line' },
        { field: 'roles', message: 'must have at most 32 entries, each 1 to 32 of the characters a-z 0-9 _ -' },
      ],
    ],
    [
      'a short password',
      '/users',
      { username: 'x', full_name: 'X', password: 'short' },
      [{ field: 'password', message: 'must have at least 12 characters (got 5)' }],
    ],
    [
      'a number as time',
      '/api-keys',
      { name: 'x', roles: ['y'], expires_at: 5 },
      [{ field: 'expires_at', message: 'must be a string or null' }],
    ],
    [
      'two invalid fields of an API key',
      '/api-keys',
      { name: '', scopes: ['all'] },
      [
        { field: 'name', message: expect.stringContaining('1 to 50') },
        { field: 'scopes', message: 'must contain only introspect, users:read, users:write, audit:read' },
      ],
    ],
    [
      'a missing current password',
      '/auth/password',
      { new_password: good },
      [{ field: 'current_password', message: 'is missing' }],
    ],
    [
      'a wrong current password',
      '/auth/password',
      { current_password: 'x', new_password: good },
      [{ field: 'current_password', message: 'is incorrect' }],
    ],
  ])('for %s names each field and rule, in the detail too', async (_what, path, body, errors) => {
    const problem = await problemOf(path, body)
    expect(problem).toMatchObject({ status: 422, errors })
    for (const { field } of errors as { field: string }[]) expect(problem.detail).toContain(field)
  })

  test.each([
    ['/users?limit=0', 'limit', 'must be a whole number from 1 to 100'],
    ['/users?limit=1e1', 'limit', 'must be a whole number from 1 to 100'],
    [`/users?q=${'x'.repeat(101)}`, 'q', 'must have at most 100 characters'],
    ['/users?after=_w', 'after', 'must be the `next` value of a page of this list'],
    ['/blocks?after=x', 'after', 'must be the `next` value of a page of this list'],
    ['/api-keys?revoked=maybe', 'revoked', 'must be true or false'],
  ])('for %s names the query parameter and its rule', async (path, field, message) => {
    expect(await problemOf(path)).toEqual({
      status: 422,
      detail: `The field ${field} ${message}.`,
      errors: [{ field, message }],
    })
  })

  test('for a misspelled member names the one that was meant, never the one that was sent', async () => {
    for (const [member, meant] of [
      ['fullname', 'full_name'],
      ['user_name', 'username'],
      ['role', 'roles'],
    ] as const) {
      const problem = await problemOf('/users', { username: 'x', full_name: 'X', [member]: 'y' })
      expect(problem).toMatchObject({ status: 422, errors: [{ field: meant, message: 'is misspelled' }] })
      expect(problem.detail).toContain(`Did you mean ${meant}?`)
    }
    const other = await problemOf('/users', { username: 'x', full_name: 'X', s3cret: 'y' })
    expect(other.detail).toBe(
      'The body has an unknown member. Allowed members: username, full_name, password, roles, must_change_password.',
    )
  })

  test('for a change without a field lists the fields', async () => {
    const { detail } = await problemOf(`/users/${crypto.randomUUID()}`, {}, 'PATCH')
    expect(detail).toBe('Provide at least one of the fields full_name, roles and is_active.')
  })

  test('never has a value', async () => {
    const secret = 's3cret-value'
    for (const body of [
      { username: [secret], full_name: secret, roles: [{ [secret]: secret }] },
      { username: secret, full_name: `${secret}\n`, [secret]: secret },
    ])
      expect(JSON.stringify(await problemOf('/users', body))).not.toContain(secret)
    expect(JSON.stringify(await problemOf(`/users?limit=${secret}&after=${secret}`))).not.toContain(secret)
  })
})

describe('a 429', () => {
  const { guess, login, newName } = createSignIns(() => application)

  test('says the seconds of Retry-After', async () => {
    const name = newName('throttled')
    await guess(name, 6)
    for (const [ahead, seconds] of [
      [0, '1 second'],
      [1000, '2 seconds'],
      [2000, '4 seconds'],
    ] as const) {
      application.clock.now += ahead
      if (ahead > 0) await guess(name, 1)
      const response = await login(name, 'wrong')
      expect(response.status).toBe(429)
      expect(await response.json()).toMatchObject({ detail: `Too many failed attempts. Try again in ${seconds}.` })
      expect(`${response.headers.get('retry-after')} second`).toBe(seconds.replace(/s$/, ''))
    }
  })
})
