import { afterEach, beforeEach, expect } from 'bun:test'
import { openTestApplication, type TestApplication } from '../../application.ts'
import { createAccounts, good } from '../accounts.ts'

export type Headers = Readonly<Record<string, string>>

/** The name of the cookie over http. */
export const cookieName = 'audittrail'
export const fromPage: Headers = { 'sec-fetch-site': 'same-origin', 'sec-fetch-mode': 'cors' }

/** What browsers send from elsewhere, or programs. */
export const foreign: Readonly<Record<string, Headers>> = {
  'a foreign site': { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors' },
  'a sibling': { 'sec-fetch-site': 'same-site', 'sec-fetch-mode': 'cors' },
  'a navigation of a foreign site': { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' },
  'a foreign Origin': { origin: 'https://evil.example' },
  'another port': { origin: 'http://localhost:3000' },
  'an opaque origin': { origin: 'null' },
  nowhere: {},
}

/** A script of a page, in a browser that keeps cookies. */
export function createBrowser(application: () => TestApplication, headers: Headers = {}) {
  const jar = new Map<string, string>()
  const cookie = () => [...jar].map(([name, value]) => `${name}=${value}`).join('; ')
  const send = async (method: string, path: string, body?: unknown, more: Headers = fromPage): Promise<Response> => {
    const response = await application().call(path, {
      method,
      headers: {
        ...(jar.size > 0 ? { cookie: cookie() } : {}),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
        ...more,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    for (const line of response.headers.getSetCookie()) keep(line)
    return response
  }
  const keep = (line: string) => {
    const [name = '', value = ''] = (line.split(';')[0] ?? '').split('=')
    if (/; Max-Age=0(;|$)/.test(line)) jar.delete(name)
    else jar.set(name, value)
  }
  return {
    send,
    get: (path: string, more?: Headers) => send('GET', path, undefined, more),
    signIn: (username: string, password: string, stay = false) =>
      send('POST', '/auth/session', { username, password, stay }),
    cookie,
    valueOf: (name = cookieName) => jar.get(name) ?? '',
    set: (value: string, name = cookieName) => void jar.set(name, value),
  }
}

/** Opens an application with one user for each test, and browsers that sign in as that user. */
export function openForEachTest() {
  const opened: { application?: TestApplication; username: string } = { username: '' }
  const application = () => {
    if (!opened.application) throw new Error('The application is open only in a test')
    return opened.application
  }
  const accounts = createAccounts(application)
  const open = () => createBrowser(application)
  beforeEach(async () => {
    opened.application = await openTestApplication('PostgreSQL')
    opened.username = (await accounts.makeUser(['admin', 'billing'])).username
  })
  afterEach(() => application().close())
  return {
    application,
    username: () => opened.username,
    accounts,
    open,
    signedIn: async (stay = false) => {
      const browser = open()
      expect((await browser.signIn(opened.username, good, stay)).status).toBe(200)
      return browser
    },
  }
}
