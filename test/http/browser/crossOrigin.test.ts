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
