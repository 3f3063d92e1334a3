import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import type { TestApplication } from '../../application.ts'
import { sequence } from '../audit/auditLog.ts'
import { createVisitor, locationOf, openApplicationWithPassword, password, signInVisitor } from './browser.ts'

let application: TestApplication
beforeAll(async () => {
  application = await openApplicationWithPassword()
})
afterAll(() => application.close())

const signedIn = () => signInVisitor(application)

describe('a user who must change the password', () => {
  test('is led to the password page from everywhere, and to the target after the change', async () => {
    const headers = { authorization: `Bearer ${await application.accessToken('admin', password)}` }
    const body = JSON.stringify({ username: 'newcomer', full_name: 'New Comer' })
    const created = await application.call('/users', {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/json' },
      body,
    })
    const { one_time_password: initial } = (await created.json()) as { one_time_password: string }
    const visitor = createVisitor(application)
    const first = await visitor.post('/sign-in', { username: 'newcomer', password: initial, return: '/x?y=1' })
    expect(locationOf(first)).toBe('account/password?return=/x?y=1')
    for (const path of ['/account', '/account/sessions', '/account/activity'])
      expect(new URL(locationOf(await visitor.get(path)) ?? '', `http://h/api${path}`).pathname).toBe(
        '/api/account/password',
      )
    expect(locationOf(await visitor.get('/sign-in?return=/x'))).toBe('account/password?return=/x')
    const refused = await (await visitor.get('/refused?return=/x?y=1')).text()
    expect(refused).toContain('Change your password first')
    expect(refused).toContain('href="account/password?return=/x?y=1"')
    const page = await (await visitor.get('/account/password?return=/x?y=1')).text()
    expect(page).toContain('Choose a new password')
    expect(page).toContain('<input type="hidden" name="return" value="/x?y=1"/>')
    const next = { current_password: initial, new_password: 'my very own pass phrase', return: '/x?y=1' }
    expect(locationOf(await visitor.post('/account/password', next))).toBe('/x?y=1')
    expect((await visitor.get('/account')).status).toBe(200)
  })
})

describe('the password page', () => {
  test('shows what is wrong beside the field', async () => {
    const visitor = await signedIn()
    const cases = [
      [{}, 422, 'Enter a new password.'],
      [{ current_password: 'wrong', new_password: 'another pass phrase' }, 422, 'The current password is incorrect.'],
      [
        { current_password: password, new_password: 'short' },
        422,
        'The new password must have at least 12 characters (got 5).',
      ],
    ] as const
    for (const [fields, status, text] of cases) {
      const response = await visitor.post('/account/password', fields)
      expect(response.status).toBe(status)
      expect(await response.text()).toContain(text)
    }
  })

  test('says that the session has ended, and never changes a password then', async () => {
    const visitor = createVisitor(application)
    const fields = { current_password: password, new_password: 'another pass phrase' }
    const location = locationOf(await visitor.post('/account/password', fields))
    expect(location).toBe('../sign-in?done=expired&page=account%2Fpassword')
    expect(await (await visitor.get('/sign-in?done=expired&page=account%2Fpassword')).text()).toContain(
      'Your session ended before the form was sent.',
    )
  })
})

describe('the account pages', () => {
  test('show the profile, the devices and the activity', async () => {
    const visitor = await signedIn()
    await sequence(application)
    const account = await (await visitor.get('/account')).text()
    expect(account).toContain('Default Admin')
    expect(account).toMatch(/Last changed <time datetime="\d{4}-/)
    expect(account).toMatch(/You are signed in on \d+ devices?\./)
    const activity = await (await visitor.get('/account/activity')).text()
    expect(activity).toContain('Signed in from 192.0.2.7')
    expect((await visitor.get('/account/activity?after=nonsense')).status).toBe(422)
  })

  test('have a form for signing out on every page', async () => {
    const visitor = await signedIn()
    for (const path of ['', '/password', '/sessions', '/activity'])
      expect(await (await visitor.get(`/account${path}`)).text()).toMatch(/<form method="post" action="[./]*sign-out">/)
  })

  test('end one device, and all others', async () => {
    const [visitor, second, third] = [await signedIn(), await signedIn(), await signedIn()]
    const html = await (await visitor.get('/account/sessions')).text()
    const [, id = ''] = /name="end" value="([0-9a-f-]{36})"/.exec(html) ?? []
    expect(locationOf(await visitor.post('/account/sessions', { end: id }))).toBe('../account/sessions?done=one')
    const gone = await visitor.post('/account/sessions', { end: id })
    expect(gone.status).toBe(404)
    expect(await gone.text()).toContain('That device was already signed out.')
    for (const end of ['', 'nonsense', '00000000-0000-4000-8000-000000000000'])
      expect((await visitor.post('/account/sessions', { end })).status).toBe(404)
    expect(locationOf(await visitor.post('/account/sessions', { end: 'others' }))).toBe(
      '../account/sessions?done=others',
    )
    for (const other of [second, third]) expect((await other.get('/account')).status).toBe(303)
    expect((await visitor.get('/account')).status).toBe(200)
  })
})

describe('signing out', () => {
  test('needs a button, ends the session and clears the cache', async () => {
    const visitor = await signedIn()
    const cookie = visitor.cookies()
    expect(await (await visitor.get('/sign-out')).text()).toContain(
      '<button type="submit" class="primary">Sign out</button>',
    )
    expect((await visitor.get('/account')).status).toBe(200)
    const response = await visitor.post('/sign-out', {})
    expect(locationOf(response)).toBe('sign-in?done=out')
    expect(response.headers.get('clear-site-data')).toBe('"cache"')
    expect(visitor.cookies()).toBe('')
    expect((await visitor.get('/account', { cookie })).status).toBe(303)
    expect(await (await visitor.get('/sign-in?done=out')).text()).toContain('You are signed out.')
  })
})
