import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import type { TestApplication } from '../../application.ts'
import { hostileTargets } from '../../pages/hostileTargets.ts'
import { createVisitor, locationOf, openApplicationWithPassword, password, signInVisitor } from './browser.ts'

const pageUrl = 'https://apps.example.com/api/sign-in'

let application: TestApplication
beforeAll(async () => {
  application = await openApplicationWithPassword()
})
afterAll(() => application.close())

const signedIn = () => signInVisitor(application)

describe('a page', () => {
  test.each([
    '/sign-in',
    '/sign-out',
    '/refused',
    '/account',
    '/account/password',
    '/account/sessions',
    '/account/activity',
  ])('%s has the headers of a page', async (path) => {
    const visitor = await signedIn()
    if (path === '/sign-in') await visitor.post('/sign-out', {})
    const { status, headers } = await visitor.get(path)
    expect(status).toBe(path === '/refused' ? 403 : 200)
    expect(headers.get('content-type')).toBe('text/html; charset=utf-8')
    expect(headers.get('cache-control')).toBe('no-store')
    expect(headers.get('referrer-policy')).toBe('same-origin')
    expect(headers.get('cross-origin-opener-policy')).toBe('same-origin')
    expect(headers.get('x-frame-options')).toBe('DENY')
    expect(headers.get('content-security-policy')).toBe(
      "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; " +
        "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
    )
    expect(headers.get('permissions-policy')).toBe(
      'publickey-credentials-get=(self), publickey-credentials-create=(self)',
    )
  })

  test.each(['/account', '/account/password', '/account/sessions', '/account/activity'])(
    '%s leads to the sign-in page and back without a session',
    async (path) => {
      const visitor = createVisitor(application)
      const location = locationOf(await visitor.get(path))
      expect(new URL(location ?? '', `https://apps.example.com/api${path}`).href).toBe(
        `${pageUrl}?page=${encodeURIComponent(path.slice(1))}`,
      )
      const html = await (await visitor.get(`/sign-in?page=${encodeURIComponent(path.slice(1))}`)).text()
      expect(html).toContain(`<input type="hidden" name="page" value="${path.slice(1)}"/>`)
      const fields = { username: 'admin', password, page: path.slice(1) }
      expect(locationOf(await visitor.post('/sign-in', fields))).toBe(path.slice(1))
    },
  )

  test.each(['/sign-in', '/sign-out', '/account/password', '/account/sessions'])(
    'a form for %s from another site gets 403, changes nothing and sets no cookie',
    async (path) => {
      const visitor = await signedIn()
      for (const site of ['cross-site', 'same-site']) {
        const fields = {
          username: 'admin',
          password,
          current_password: password,
          new_password: 'another pass phrase',
          end: 'others',
        }
        const response = await visitor.post(path, fields, { 'sec-fetch-site': site })
        expect(response.status).toBe(403)
        expect(response.headers.getSetCookie()).toEqual([])
        expect(await response.text()).toContain('The request came from another website.')
      }
      expect((await visitor.get('/account')).status).toBe(200)
    },
  )

  test('errors of a form that cannot be read are pages', async () => {
    const visitor = await signedIn()
    const headers = { 'content-type': 'text/plain', 'sec-fetch-site': 'same-origin' }
    const init = { method: 'POST', headers, body: 'x' }
    for (const path of ['/sign-in', '/sign-out', '/account/password', '/account/sessions']) {
      const response = await application.call(path, { ...init, headers: { ...headers, cookie: visitor.cookies() } })
      expect(response.status).toBe(415)
      expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8')
      expect(await response.text()).toContain('<title>Error: Invalid request – AuditTrail</title>')
    }
  })

  test('an unknown path stays a problem in JSON', async () => {
    for (const path of ['/sign-inn', '/account/unknown', '/pages/page.0000000000000000.css']) {
      const response = await createVisitor(application).get(path, { accept: 'text/html' })
      expect(response.status).toBe(404)
      expect(response.headers.get('content-type')).toBe('application/problem+json')
    }
  })
})

describe('signing in', () => {
  test('leads to the account, or to the target with its query and fragment', async () => {
    const targets = {
      '': 'account',
      '/reports?tab=costs&x=1#part': '/reports?tab=costs&x=1#part',
      '/x?y=%zz': '/x?y=%zz',
    }
    for (const [target, expected] of Object.entries(targets)) {
      const visitor = createVisitor(application)
      const { status } = await visitor.get(`/sign-in?return=${target.replace('#part', '')}`)
      expect(status).toBe(200)
      expect(locationOf(await visitor.post('/sign-in', { username: 'admin', password, return: target }))).toBe(expected)
      expect(locationOf(await visitor.get(`/sign-in?return=${target.replace('#part', '')}`))).toBe(
        expected.replace('#part', ''),
      )
    }
  })

  test.each(hostileTargets)('never leads away: %j', async (target) => {
    const form = await createVisitor(application).post('/sign-in', { username: 'admin', password, return: target })
    const visitor = await signedIn()
    const already = await visitor.get(`/sign-in?return=${encodeURI(target)}`)
    const signOut = await visitor.post('/sign-out', { return: target })
    for (const response of [form, already, signOut]) {
      // Text with a NUL is no form, and a long query is not read.
      if (response.status === 400) continue
      expect(new URL(locationOf(response) ?? '', pageUrl).origin).toBe('https://apps.example.com')
    }
  })

  test('with a wrong password shows the form with the username again, with 401', async () => {
    const visitor = createVisitor(application)
    const response = await visitor.post('/sign-in', { username: 'somebody', password: 'open sesame', return: '/x' })
    expect(response.status).toBe(401)
    const html = await response.text()
    expect(html).toContain('Incorrect username or password.')
    expect(html).toContain('value="somebody"')
    expect(html).toContain('<input type="hidden" name="return" value="/x"/>')
    expect(html).not.toContain('sesame')
    expect(visitor.cookies()).toBe('')
  })

  test('without a username or password says what is missing, with 422', async () => {
    for (const fields of [{}, { username: 'admin' }, { password }]) {
      const response = await createVisitor(application).post('/sign-in', fields)
      expect(response.status).toBe(422)
      expect(await response.text()).toContain('Enter your username and password.')
    }
  })

  test('says in how many seconds to try again after many failures', async () => {
    let response = new Response()
    for (let attempt = 0; attempt < 12 && response.status !== 429; attempt++)
      response = await createVisitor(application).post('/sign-in', {
        username: 'throttled',
        password: `wrong ${attempt}`,
      })
    expect(response.status).toBe(429)
    const seconds = response.headers.get('retry-after')
    expect(Number(seconds)).toBeGreaterThan(0)
    expect(await response.text()).toMatch(new RegExp(`Too many attempts. Try again in ${seconds} seconds?\\.`))
  })

  test('that a page does not accept ends with an explanation after three returns', async () => {
    const visitor = await signedIn()
    for (const target of ['/reports?x=1', '/orders', '/reports?x=1']) {
      for (let count = 0; count < 3; count++)
        expect(locationOf(await visitor.get(`/sign-in?return=${target}`))).toBe(target)
      const response = await visitor.get(`/sign-in?return=${target}`)
      expect(response.status).toBe(403)
      const html = await response.text()
      expect(html).toContain('You are signed in, but the page did not accept it.')
      expect(html).toContain(`href="sign-in?return=${target}"`)
    }
    expect(locationOf(await visitor.get('/sign-in?return=/reports?x=1'))).toBe('/reports?x=1')
  })

  test('counts returns in a short-lived cookie, whose other values change nothing', async () => {
    const visitor = await signedIn()
    const [line = ''] = (await visitor.get('/sign-in?return=/orders')).headers.getSetCookie()
    expect(line).toMatch(/^audittrail_returns=1\.[\w-]{22}; Max-Age=10; HttpOnly; SameSite=Lax$/)
    for (const value of ['', '9', `9.${'A'.repeat(22)}`, '-1.x', 'x'.repeat(3000), '%00']) {
      const cookie = `${visitor.cookies().replace(/; audittrail_returns=.*/, '')}; audittrail_returns=${value}`
      expect(locationOf(await visitor.get('/sign-in?return=/orders', { cookie }))).toBe('/orders')
    }
  })

  test('says so if the browser has not kept the cookie', async () => {
    const redirected = { 'sec-fetch-site': 'same-origin', 'sec-fetch-user': '?1' }
    const referer = 'http://localhost/api/sign-in?return=/x'
    for (const from of [referer, 'http://localhost/prefix/api/sign-in']) {
      const response = await createVisitor(application).get('/sign-in?return=/x', { ...redirected, referer: from })
      expect(response.status).toBe(403)
      expect(await response.text()).toContain('Your browser did not keep the sign-in cookie.')
    }
    for (const headers of [{ ...redirected, referer: 'http://localhost/api/account' }, { referer }])
      expect((await createVisitor(application).get('/sign-in', headers)).status).toBe(200)
  })

  test('is reached from the pages that it shows instead, without their Referer', async () => {
    const redirected = { 'sec-fetch-site': 'same-origin', 'sec-fetch-user': '?1' }
    const lost = await createVisitor(application).get('/sign-in', {
      ...redirected,
      referer: 'http://localhost/api/sign-in',
    })
    const foreign = await createVisitor(application).post('/sign-in', {}, { 'sec-fetch-site': 'cross-site' })
    const unreadable = await createVisitor(application).post('/sign-in', {}, { 'content-type': 'text/plain' })
    expect([lost.status, foreign.status, unreadable.status]).toEqual([403, 403, 415])
    for (const page of [lost, foreign, unreadable])
      expect(await page.text()).toMatch(/<a [^>]*href="(sign-in|account)"[^>]* rel="noreferrer"/)
  })
})
