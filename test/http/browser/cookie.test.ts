import { describe, expect, test } from 'bun:test'
import { openTestApplication } from '../../application.ts'
import { good } from '../accounts.ts'
import { cookieName, createBrowser, fromPage, openForEachTest } from './browser.ts'

const { application, username, open, signedIn } = openForEachTest()

interface Listed {
  readonly kind?: string
  readonly stay?: boolean
}

describe('a cookie', () => {
  test('gives access to what its user may read of their account', async () => {
    const browser = await signedIn()
    for (const path of ['/auth/me', '/auth/session', '/auth/sessions', '/auth/activity'])
      expect((await browser.get(path)).status).toBe(200)
    const { items } = (await (await browser.get('/auth/sessions')).json()) as { items: { current: boolean }[] }
    expect(items.map(({ current }) => current)).toEqual([true])
  })

  test('marks its session in lists, where a session by token has the fields that it always had', async () => {
    const browser = await signedIn()
    await signedIn(true)
    const token = await application().accessToken(username(), good)
    const list = async (send: Promise<Response>) => ((await (await send).json()) as { items: Listed[] }).items
    const own = await list(browser.get('/auth/sessions'))
    const { id } = (await (await application().me(token)).json()) as { id: string }
    const headers = { authorization: `Bearer ${token}` }
    const all = await list(application().call(`/users/${id}/sessions`, { headers }))
    const usual = ['id', 'created_at', 'last_used_at', 'expires_at', 'address', 'user_agent', 'current']
    for (const items of [own, all]) {
      expect(items.map(({ kind, stay }) => `${kind} ${stay}`).sort()).toEqual([
        'browser false',
        'browser true',
        'undefined undefined',
      ])
      expect(Object.keys(items.find(({ kind }) => kind === undefined) ?? {})).toEqual(usual)
    }
  })

  test('gives no access to administration, introspection or tokens', async () => {
    const browser = await signedIn()
    for (const path of ['/users', '/blocks', '/api-keys', '/audit/events'])
      expect((await browser.get(path)).status).toBe(401)
    expect((await browser.send('POST', '/users', {})).status).toBe(401)
    const form = { ...fromPage, 'content-type': 'application/x-www-form-urlencoded' }
    expect((await browser.send('POST', '/auth/introspect', undefined, form)).status).toBe(401)
    expect((await browser.send('POST', '/auth/refresh', undefined, form)).status).toBe(400)
    const refresh = new URLSearchParams({ refresh_token: browser.valueOf(), grant_type: 'refresh_token' })
    expect((await application().call('/auth/refresh', { method: 'POST', body: refresh })).status).toBe(400)
  })

  test('is replaced by a change of the password, keeping the stay, and ends other sessions', async () => {
    const [browser, other] = [await signedIn(true), await signedIn()]
    const before = browser.valueOf()
    const change = { current_password: good, new_password: 'another long pass phrase' }
    const response = await browser.send('POST', '/auth/password', change)
    expect(response.headers.getSetCookie()[0]).toMatch(/^audittrail=ats_.*; Max-Age=2592000;/)
    expect(browser.valueOf()).not.toBe(before)
    expect((await other.get('/auth/session')).status).toBe(401)
    application().clock.now += 10_001
    expect((await browser.get('/auth/session')).status).toBe(200)
    const thief = open()
    thief.set(before)
    expect((await thief.get('/auth/session')).status).toBe(401)
    expect((await browser.get('/auth/session')).status).toBe(401)
  })

  test('signs out everywhere', async () => {
    const [browser, other] = [await signedIn(), await signedIn()]
    expect((await browser.send('POST', '/auth/logout?all=true')).status).toBe(204)
    expect(browser.valueOf()).toBe('')
    expect((await other.get('/auth/session')).status).toBe(401)
  })

  test('that is malformed, doubled or forged gets 401', async () => {
    const browser = await signedIn()
    const value = browser.valueOf()
    const token = await application().accessToken(username(), good)
    const forged = [
      '',
      'x',
      'ats_',
      value.slice(0, -1),
      `${value}x`,
      `${value}=`,
      `"${value}"`,
      value.toUpperCase(),
      `ats_${'A'.repeat(70)}`,
      `atr_${value.slice(4)}`,
      'x'.repeat(8192),
      token,
      `${value}; ${cookieName}=${value}`,
      `${value}; ${cookieName}=`,
      '\u00ff\u00fe',
    ]
    for (const text of forged) {
      const headers = { cookie: `${cookieName}=${text}`, ...fromPage }
      for (const path of ['/auth/me', '/auth/session', '/auth/verify'])
        expect([text, (await application().call(path, { headers })).status]).toEqual([text, 401])
    }
  })
})

describe('over https', () => {
  test('the cookie has the prefix __Host- and no other one is read', async () => {
    const secure = await openTestApplication('PostgreSQL', { trustedProxies: ['192.0.2.7'] })
    const browser = createBrowser(() => secure, { 'x-forwarded-proto': 'https', host: 'app.example.com' })
    const response = await browser.signIn('admin', 'changeme')
    expect(response.headers.getSetCookie()[0]).toMatch(
      /^__Host-audittrail=ats_.*; Path=\/; HttpOnly; SameSite=Lax; Secure$/,
    )
    expect((await browser.get('/auth/session')).status).toBe(200)
    const plain = createBrowser(() => secure, { 'x-forwarded-proto': 'https' })
    plain.set(browser.valueOf('__Host-audittrail'))
    expect((await plain.get('/auth/session')).status).toBe(401)
    const own = { origin: 'https://app.example.com' }
    expect((await browser.send('DELETE', '/auth/session', undefined, own)).status).toBe(204)
    await secure.close()
  })
})

describe('with PUBLIC_ORIGINS', () => {
  test('only these count, whatever the Host', async () => {
    const public_ = await openTestApplication('PostgreSQL', {
      pages: { title: 'AuditTrail', publicOrigins: ['https://app.example.com:8443'] },
    })
    const browser = createBrowser(() => public_)
    const signIn = (origin: string) =>
      browser.send('POST', '/auth/session', { username: 'admin', password: 'changeme' }, { origin })
    expect((await signIn('http://localhost')).status).toBe(403)
    expect((await signIn('https://app.example.com:8443')).status).toBe(200)
    await public_.close()
  })
})

describe('with PAGES=off', () => {
  test('there is no signing in by cookie, and no cookie is accepted', async () => {
    const off = await openTestApplication('PostgreSQL', { pages: null })
    const browser = createBrowser(() => off)
    expect((await browser.signIn('admin', 'changeme')).status).toBe(405)
    expect((await browser.send('DELETE', '/auth/session')).status).toBe(405)
    browser.set('x')
    expect((await browser.get('/auth/session')).status).toBe(401)
    const token = await off.accessToken()
    expect((await browser.get('/auth/session', { authorization: `Bearer ${token}` })).status).toBe(200)
    await off.close()
  })
})
