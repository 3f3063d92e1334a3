import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { openTestApplication, type TestApplication } from '../../application.ts'
import { documentOf } from '../../document.ts'

let application: TestApplication
let admin: string
let quarantined: string
let plain: string

const statuses = [204, 401, 403, 503]
const path = '/auth/verify'

beforeAll(async () => {
  application = await openTestApplication('PostgreSQL')
  quarantined = await application.accessToken()
  await application.sql('UPDATE users SET must_change_password = false')
  admin = await application.accessToken()
  await copyUser('ada', "'{staff,team-1}'")
  plain = await application.accessToken('ada')
})
afterAll(() => application.close())

/** Adds a user with the administrator's password by SQL, as another program could. */
async function copyUser(username: string, roles = "'{}'"): Promise<void> {
  const name = username.replaceAll("'", "''")
  await application.sql(`INSERT INTO users (username, hashed_password, full_name, roles)
    SELECT '${name}', hashed_password, 'Someone', ${roles}::text[] FROM users WHERE username = 'admin'`)
}

const bearer = (token: string) => ({ authorization: `Bearer ${token}` })
const verify = (query: string, token: string | undefined, init: RequestInit = {}) =>
  application.call(path + query, { ...init, headers: { ...init.headers, ...(token ? bearer(token) : {}) } })

describe('GET /auth/verify', () => {
  test('identifies the caller in headers, without a body', async () => {
    const response = await verify('', plain)
    const { id } = (await (await application.me(plain)).json()) as { id: string }
    const [session] = await application.sql(
      `SELECT s.id FROM audittrail_sessions s JOIN users u ON u.id = s.user_id WHERE u.username = 'ada'`,
    )
    expect(response.status).toBe(204)
    expect(await response.text()).toBe('')
    expect(response.headers.toJSON()).toMatchObject({
      'x-auth-user': 'ada',
      'x-auth-user-id': id,
      'x-auth-roles': 'staff,team-1',
      'x-auth-session': String(session?.id),
      'cache-control': 'no-store',
    })
  })

  test('returns 401 with WWW-Authenticate for a missing, invalid or repeated token', async () => {
    for (const authorization of [undefined, 'Bearer x.y.z', `Bearer ${plain}, Bearer ${plain}`, `Basic ${plain}`, '']) {
      const response = await application.call(path, {
        headers: authorization === undefined ? {} : { authorization },
      })
      expect([response.status, response.headers.get('www-authenticate')]).toEqual([401, 'Bearer'])
      expect(response.headers.get('cache-control')).toBe('no-store')
      expect(response.headers.get('x-auth-user')).toBeNull()
    }
  })

  test.each([
    ['', 204],
    ['?', 204],
    ['?role=staff', 204],
    ['?role=admin&role=staff', 204],
    ['?role=%73taff', 204],
    ['?role=admin', 403],
    ['?role=staf', 403],
    ['?role=', 403],
    ['?role', 403],
    ['?role=staff&role=', 403],
    ['?role=Staff', 403],
    ['?role=staff,admin', 403],
    ['?role=staff%00', 403],
    ['?role=staff%0d%0aX-Auth-User:%20admin', 403],
    ['?role=%zz', 403],
    ['?role=staff&%ff', 403],
    ['?roles=admin', 403],
    ['?role=staff&x=1', 403],
    ['?&', 403],
    [`?role=${'a'.repeat(33)}`, 403],
    [`?${'role=staff&'.repeat(33)}`, 403],
  ])('for the query %p and the roles staff and team-1 returns %p', async (query, status) => {
    const response = await verify(query, plain)
    expect(response.status).toBe(status)
    expect(response.headers.has('x-auth-user')).toBe(status === 204)
  })

  test('checks the current roles, not those in the token', async () => {
    await copyUser('mover', "'{staff}'")
    const token = await application.accessToken('mover')
    expect((await verify('?role=staff', token)).status).toBe(204)
    await application.sql(`UPDATE users SET roles = '{}' WHERE username = 'mover'`)
    expect((await verify('?role=staff', token)).status).toBe(403)
    expect((await verify('', token)).headers.get('x-auth-roles')).toBe('')
    await application.sql(`UPDATE users SET is_active = false WHERE username = 'mover'`)
    expect((await verify('', token)).status).toBe(401)
  })

  test('returns 403 until the password is changed, and for tokens from before', async () => {
    expect((await verify('', quarantined)).status).toBe(403)
    await application.sql(`UPDATE users SET must_change_password = true WHERE username = 'admin'`)
    for (const token of [admin, quarantined]) {
      const response = await verify('?role=admin', token)
      expect(response.status).toBe(403)
      expect(await response.json()).toMatchObject({ type: 'urn:audittrail:problem:password_change_required' })
    }
    await application.sql(`UPDATE users SET must_change_password = false WHERE username = 'admin'`)
    expect((await verify('?role=admin', admin)).status).toBe(204)
  })

  test('is documented with 204, 401, 403 and 503 only', async () => {
    const document = await documentOf(application.http, '/api')
    expect(Object.keys(document?.paths['/api/auth/verify']?.get?.responses ?? {})).toEqual(statuses.map(String))
  })

  test('passes on every valid username unchanged', async () => {
    const character = fc.constantFrom(...'ABCXYZabcxyz0189._@+-')
    const names = fc.string({ unit: character, minLength: 1, maxLength: 50 })
    const seen = new Set(['admin', 'ada', 'mover'])
    await fc.assert(
      fc.asyncProperty(names, async (name) => {
        if (seen.has(name.toLowerCase())) return
        seen.add(name.toLowerCase())
        await copyUser(name)
        const response = await verify('', await application.accessToken(name))
        expect(response.headers.get('x-auth-user')).toBe(name)
      }),
      { numRuns: 40 },
    )
  })

  test('percent-encodes other usernames of an adopted database', async () => {
    const names = [
      'Zoë Müller',
      'a%41',
      'x\r\nX-Auth-Roles: admin',
      'a,b',
      '王小明',
      '🙂',
      "o'neil",
      '~*()!',
      '\u202ea',
      ' ',
    ]
    for (const name of names) {
      await copyUser(name, `'{"a,admin","Ä"}'`)
      const { headers, status } = await verify('', await application.accessToken(name))
      expect(status).toBe(204)
      expect(headers.get('x-auth-user')).toMatch(/^[A-Za-z0-9._@+%-]+$/)
      expect(decodeURIComponent(headers.get('x-auth-user') ?? '')).toBe(name)
      expect(headers.get('x-auth-roles')).toBe('a%2Cadmin,%C3%84')
    }
  })
})
