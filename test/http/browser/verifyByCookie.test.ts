import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { openTestApplication, type TestApplication } from '../../application.ts'
import { createAccounts, good } from '../accounts.ts'
import { createBrowser, type Headers } from './browser.ts'

let application: TestApplication
let username: string
let cookie: string
beforeAll(async () => {
  application = await openTestApplication('PostgreSQL')
  username = (await createAccounts(() => application).makeUser(['staff'])).username
  const browser = createBrowser(() => application)
  await browser.signIn(username, good)
  cookie = browser.cookie()
})
afterAll(() => application.close())

const verify = (headers: Headers, query = '') =>
  application.call(`/auth/verify${query}`, { headers: { cookie, ...headers } })
const get = { 'x-original-method': 'GET' }

describe('GET /auth/verify with a cookie', () => {
  test('identifies the user, and never sets a cookie', async () => {
    const response = await verify({ ...get, 'sec-fetch-site': 'same-origin' })
    expect(response.status).toBe(204)
    expect(response.headers.toJSON()).toMatchObject({ 'x-auth-user': username, 'x-auth-roles': 'staff' })
    expect(response.headers.getSetCookie()).toEqual([])
  })

  test.each([
    ['the page itself', { 'x-original-method': 'POST', 'sec-fetch-site': 'same-origin' }, 204],
    ['the address bar', { ...get, 'sec-fetch-site': 'none', 'sec-fetch-mode': 'navigate' }, 204],
    ['a link of a foreign site', { ...get, 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' }, 204],
    [
      'a frame of a sibling',
      { ...get, 'sec-fetch-site': 'same-site', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'iframe' },
      403,
    ],
    ['an image of a sibling', { ...get, 'sec-fetch-site': 'same-site', 'sec-fetch-mode': 'no-cors' }, 403],
    ['a fetch of a foreign site', { ...get, 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'cors' }, 403],
    [
      'a form of a sibling',
      { 'x-original-method': 'POST', 'sec-fetch-site': 'same-site', 'sec-fetch-mode': 'navigate' },
      403,
    ],
    ['a proxy that names no method', { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' }, 403],
    ['a proxy that says nothing', {}, 403],
    ['a program without Sec-Fetch-Site', get, 204],
    ['an own WebSocket', { ...get, 'x-original-upgrade': 'websocket', origin: 'http://localhost' }, 204],
    ['the WebSocket of a sibling', { ...get, 'x-original-upgrade': 'websocket', origin: 'http://evil.localhost' }, 403],
    ['a WebSocket without Origin', { ...get, 'x-original-upgrade': 'websocket' }, 403],
    ['an opaque origin', { 'x-original-method': 'POST', origin: 'null' }, 403],
  ] as const)('decides on %s', async (_, headers, status) => {
    expect((await verify(headers)).status).toBe(status)
  })

  test('requires the role', async () => {
    expect((await verify(get, '?role=staff')).status).toBe(204)
    expect((await verify(get, '?role=admin')).status).toBe(403)
  })

  test('takes a bearer token rather than the cookie', async () => {
    expect((await verify({ ...get, authorization: 'Bearer x' })).status).toBe(401)
    const token = await application.accessToken(username, good)
    const foreign = { 'sec-fetch-site': 'cross-site', authorization: `Bearer ${token}` }
    expect((await verify(foreign)).status).toBe(204)
  })

  test('returns 403 while the password must be changed', async () => {
    const browser = createBrowser(() => application)
    await browser.signIn('admin', 'changeme')
    expect((await application.call('/auth/verify', { headers: { cookie: browser.cookie(), ...get } })).status).toBe(403)
  })

  test('returns 401 for any text in place of the cookie', async () => {
    const text = fc.string({ maxLength: 300 }).map((value) => value.replaceAll(/[^\x21-\x7e]/g, ''))
    await fc.assert(
      fc.asyncProperty(text, async (value) => {
        const headers = { cookie: `audittrail=${value}`, ...get }
        expect((await application.call('/auth/verify', { headers })).status).toBe(401)
      }),
      { numRuns: 300 },
    )
  })
})
