import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { openTestApplication, type TestApplication } from '../../application.ts'
import { createAccounts, good } from '../accounts.ts'
import { createBrowser, foreign, fromPage, type Headers } from './browser.ts'

/** Requires a decision for each new route: it accepts the cookie or ignores it. */
const withCookie = [
  'DELETE /auth/session',
  'DELETE /auth/sessions/:id',
  'POST /account/password',
  'POST /account/sessions',
  'POST /auth/logout',
  'POST /auth/password',
  'POST /auth/session',
  'POST /sign-in',
  'POST /sign-out',
]

let application: TestApplication
let cookie: string
let unsafe: readonly { readonly method: string; readonly path: string }[]
beforeAll(async () => {
  application = await openTestApplication('PostgreSQL')
  const accounts = createAccounts(() => application)
  const browser = createBrowser(() => application)
  await browser.signIn((await accounts.makeUser(['admin'])).username, good)
  cookie = browser.cookie()
  unsafe = application.http.routes.routes
    .filter(({ method }) => !['GET', 'HEAD'].includes(method))
    .map(({ method, path }) => ({ method, path: path.slice('/api'.length) }))
})
afterAll(() => application.close())

async function answerOf(method: string, path: string, headers: Headers): Promise<readonly [number, string]> {
  const response = await application.call(path.replace(':id', crypto.randomUUID()), { method, headers })
  return [response.status, await response.text()]
}

describe('every route that changes something', () => {
  test('has no more effect with the cookie than without, from other origins', async () => {
    const accepting: string[] = []
    for (const { method, path } of unsafe) {
      const route = `${method} ${path}`
      const isAccepting = (await answerOf(method, path, { cookie, 'sec-fetch-site': 'cross-site' }))[0] === 403
      if (isAccepting) accepting.push(route)
      for (const [origin, headers] of Object.entries(foreign)) {
        const answer = await answerOf(method, path, { ...headers, cookie })
        if (isAccepting) expect([route, origin, answer[0]]).toEqual([route, origin, 403])
        else expect([route, origin, answer[0]]).toEqual([route, origin, (await answerOf(method, path, headers))[0]])
      }
    }
    expect(accepting.sort()).toEqual(withCookie)
    const { status } = await application.call('/auth/session', { headers: { cookie, ...fromPage } })
    expect(status).toBe(200)
  })

  test('never changes anything for a request of a foreign site', async () => {
    for (const { method, path } of unsafe) {
      const [status] = await answerOf(method, path, { cookie, 'sec-fetch-site': 'cross-site' })
      expect([`${method} ${path}`, status >= 400 && status < 500]).toEqual([`${method} ${path}`, true])
    }
  })
})

describe('a rejected request of another origin', () => {
  const rejections = () => application.lines.filter(({ event }) => event === 'session.cross_origin')
  const statusOf = async (method: string, path: string, headers: Headers) =>
    (await application.call(path, { method, headers })).status

  test('is logged with its session and origin', async () => {
    const session = (await (await application.call('/auth/sessions', { headers: { cookie, ...fromPage } })).json()) as {
      items: { id: string }[]
    }
    const headers = { 'sec-fetch-site': 'same-site', origin: 'https://evil.example.com' }
    const logged = { level: 'warn', site: 'same-site', origin: 'https://evil.example.com' }
    for (const [method, path] of [
      ['POST', '/auth/logout'],
      ['GET', '/auth/verify'],
      ['POST', '/account/password'],
      ['DELETE', '/auth/session'],
    ] as const) {
      application.lines.splice(0)
      expect(await statusOf(method, path, { ...headers, cookie })).toBe(403)
      expect(rejections()).toMatchObject([{ ...logged, session: session.items[0]?.id }])
    }
  })

  test('is logged without what no browser sends', async () => {
    application.lines.splice(0)
    const headers = { 'sec-fetch-site': 'x'.repeat(500), origin: `https://${'a'.repeat(500)}/\u00ff` }
    expect(await statusOf('POST', '/sign-in', headers)).toBe(403)
    const [line] = rejections()
    expect([line?.session, line?.site, line?.origin]).toEqual([undefined, undefined, undefined])
  })

  test('is not logged for a link, which shows the page of a signed-out user', async () => {
    application.lines.splice(0)
    await statusOf('GET', '/account', { cookie, 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors' })
    expect(rejections()).toEqual([])
  })
})
