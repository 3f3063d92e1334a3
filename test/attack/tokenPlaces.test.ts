import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { accessToken, type Server, serve } from '../binary/binary.ts'
import { createDatabase } from '../postgresql.ts'
import { type RawAnswer, requestText, sendRaw } from './rawHttp.ts'

// An access token is accepted in one header, once (RFC 6750 §2.1). Forms, queries and cookies end
// up in logs and histories or are sent by browsers, and two tokens may be read differently by two
// programs.

const password = 'a long enough pass phrase'

let server: Server
let token: string
let other: string
beforeAll(async () => {
  server = await serve({
    environment: {
      DATABASE_URL: await createDatabase(),
      SECRET_KEY: 'k'.repeat(32),
      ADMIN_PASSWORD: password,
      PASSWORD_MEMORY_KIB: '8192',
      PASSWORD_TIME_COST: '1',
    },
  })
  token = await accessToken(server.url, 'admin', password)
  other = await accessToken(server.url, 'admin', password)
})
afterAll(async () => {
  await server.stop()
})

const me = (...lines: string[]): Promise<RawAnswer> => sendRaw(server.origin, requestText('GET', '/api/auth/me', lines))

function expectRefusal({ status, head }: RawAnswer): void {
  expect(status).toBe(401)
  expect(head).toContain('www-authenticate: Bearer')
}

describe('a valid token in the Authorization header', () => {
  test.each([
    ['the form of RFC 6750', 'Authorization: Bearer '],
    ['the scheme in lower case', 'Authorization: bearer '],
    ['the scheme in upper case', 'Authorization: BEARER '],
    ['the name in lower case', 'authorization: Bearer '],
    ['several spaces', 'Authorization: Bearer    '],
    ['no space before the scheme', 'Authorization:Bearer '],
  ])('is accepted with %s', async (_what, before) => {
    expect((await me(before + token)).status).toBe(200)
  })
})

describe('a valid token in a malformed Authorization header is rejected:', () => {
  test.each([
    ['without a scheme', () => token],
    ['with the scheme glued to it', () => `Bearer${token}`],
    ['after a colon', () => `Bearer: ${token}`],
    ['after an equals sign', () => `Bearer=${token}`],
    ['after a tab', () => `Bearer\t${token}`],
    ['after a no-break space', () => `Bearer\xa0${token}`],
    ['before another one', () => `Bearer ${token} ${other}`],
    ['before the same one', () => `Bearer ${token} ${token}`],
    ['in a list of two', () => `Bearer ${token}, Bearer ${other}`],
    ['in a list of the same', () => `Bearer ${token}, Bearer ${token}`],
    ['in a list without a space', () => `Bearer ${token},Bearer ${token}`],
    ['before a comma', () => `Bearer ${token},`],
    ['after a comma', () => `,Bearer ${token}`],
    ['before a parameter', () => `Bearer ${token}; realm=x`],
    ['as a parameter', () => `Bearer token="${token}"`],
    ['in quotes', () => `Bearer "${token}"`],
    ['with padding', () => `Bearer ${token}=`],
    ['after the scheme twice', () => `Bearer Bearer ${token}`],
    ['as Basic', () => `Basic ${btoa(`admin:${token}`)}`],
    ['as Basic as it stands', () => `Basic ${token}`],
    ['as Bearer of Basic', () => `Bearer ${btoa(`admin:${token}`)}`],
    ['as Token', () => `Token ${token}`],
    ['as JWT', () => `JWT ${token}`],
    ['as DPoP', () => `DPoP ${token}`],
    ['as Bearers', () => `Bearers ${token}`],
    ['with the scheme in Cyrillic', () => `\xd0\x92earer ${token}`],
    ['which says Bearer alone', () => 'Bearer'],
    ['which says Bearer and a space', () => 'Bearer '],
    ['which is empty', () => ''],
    ['which is Basic with the right password', () => `Basic ${btoa(`admin:${password}`)}`],
  ])('%s', async (_what, value) => {
    expectRefusal(await me(`Authorization: ${value()}`))
  })

  test.each([
    ['twice', () => [`Authorization: Bearer ${token}`, `Authorization: Bearer ${token}`]],
    ['next to another one', () => [`Authorization: Bearer ${token}`, `Authorization: Bearer ${other}`]],
    ['after a bad one', () => ['Authorization: Bearer nonsense', `Authorization: Bearer ${token}`]],
    ['before a bad one', () => [`Authorization: Bearer ${token}`, 'authorization: Bearer nonsense']],
    ['after an empty one', () => ['Authorization: ', `Authorization: Bearer ${token}`]],
    ['before an empty one', () => [`Authorization: Bearer ${token}`, 'Authorization:']],
    ['next to Basic', () => [`Authorization: Basic ${btoa('a:b')}`, `Authorization: Bearer ${token}`]],
  ])('%s', async (_what, lines) => {
    expectRefusal(await me(...lines()))
  })

  // Bun responds itself. All that matters is that access is denied.
  test.each([
    ['folded over two lines', () => `Authorization: Bearer\r\n ${token}`],
    ['with a space before the colon', () => `Authorization : Bearer ${token}`],
    ['with NUL in it', () => `Authorization: Bearer ${token}\0`],
    ['with a carriage return in it', () => `Authorization: Bearer ${token}\r x`],
    ['with a line feed for an end', () => `X: y\nAuthorization: Bearer ${token}`],
  ])('%s', async (_what, line) => {
    const { status } = await me(line())
    expect([400, 401]).toContain(status)
  })
})

describe('a valid token anywhere else is rejected:', () => {
  test.each([
    'Proxy-Authorization',
    'X-Forwarded-Authorization',
    'X-Authorization',
    'X-Original-Authorization',
    'X-Access-Token',
    'X-Auth-Token',
    'X-Api-Key',
    'Access-Token',
    'Token',
    'WWW-Authenticate',
    'Authentication',
    'Sec-WebSocket-Protocol',
    'Authorization_',
    'Forwarded',
  ])('in the header %s', async (name) => {
    expectRefusal(await me(`${name}: Bearer ${token}`))
    expectRefusal(await me(`${name}: ${token}`))
  })

  test.each(['access_token', 'token', 'authorization', 'Authorization', 'jwt', 'bearer', 'auth', 'session', 'sid'])(
    'in the cookie or the query parameter %s',
    async (name) => {
      expectRefusal(await me(`Cookie: ${name}=${token}`))
      expectRefusal(await me(`Cookie: ${name}=Bearer%20${token}`))
      for (const value of [token, `Bearer%20${token}`, `Bearer+${token}`]) {
        const { status } = await sendRaw(server.origin, requestText('GET', `/api/auth/me?${name}=${value}`))
        expect(status).toBe(401)
      }
    },
  )

  test('in the user part of the URL', async () => {
    const target = `http://Bearer:${token}@localhost/api/auth/me`
    const { status } = await sendRaw(server.origin, requestText('GET', target))
    expect(status).not.toBe(200)
    expect(status).toBeLessThan(500)
  })

  test.each([
    ['a form (RFC 6750 §2.2)', 'application/x-www-form-urlencoded', () => `access_token=${token}`],
    [
      'JSON',
      'application/json',
      () => JSON.stringify({ access_token: token, current_password: 'x', new_password: 'y' }),
    ],
  ])('in the body, as %s', async (_what, type, body) => {
    for (const path of ['/auth/logout', '/auth/password', '/users']) {
      const response = await fetch(server.url + path, {
        method: 'POST',
        headers: { 'content-type': type },
        body: body(),
      })
      expect(response.status).toBe(401)
    }
  })

  test('and the same token still works in the Authorization header', async () => {
    expect((await me(`Authorization: Bearer ${token}`)).status).toBe(200)
    expect((await me(`Authorization: Bearer ${other}`)).status).toBe(200)
  })
})
