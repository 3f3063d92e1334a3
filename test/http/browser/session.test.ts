import { describe, expect, test } from 'bun:test'
import { good } from '../accounts.ts'
import { foreign, fromPage, openForEachTest } from './browser.ts'

const { application, username, accounts, open, signedIn } = openForEachTest()

async function sessionIds(): Promise<unknown[]> {
  return (await application().sql('SELECT id::text FROM audittrail_sessions ORDER BY id')).map(({ id }) => id)
}

describe('POST /auth/session', () => {
  test('signs in with a cookie that scripts cannot read, and returns no token', async () => {
    const response = await open().signIn(username().toUpperCase(), good)
    const body = await response.text()
    expect(JSON.parse(body)).toMatchObject({
      user: { username: username() },
      roles: ['admin', 'billing'],
      must_change_password: false,
    })
    expect(body).not.toMatch(/at[rs]_|eyJ/)
    expect(response.headers.getSetCookie()[0]).toMatch(/^audittrail=ats_[\w-]{70}; Path=\/; HttpOnly; SameSite=Lax$/)
    expect(response.headers.get('cache-control')).toBe('no-store')
  })

  test('sets a cookie that outlives the browser only to stay signed in', async () => {
    const response = await open().signIn(username(), good, true)
    expect(response.headers.getSetCookie()[0]).toContain('; Max-Age=2592000;')
  })

  test('refuses a wrong password and throttles, as /auth/login does', async () => {
    const browser = open()
    const statuses: number[] = []
    for (let guess = 0; guess < 12; guess++) statuses.push((await browser.signIn(username(), 'wrong')).status)
    expect(statuses[0]).toBe(401)
    expect(statuses.at(-1)).toBe(429)
    expect((await application().login(username(), 'wrong')).status).toBe(429)
    expect(browser.cookie()).toBe('')
  })

  test('signs a quarantined user in for the change of the password only', async () => {
    const browser = open()
    const body = (await (await browser.signIn('admin', 'changeme')).json()) as object
    expect(body).toMatchObject({ roles: [], must_change_password: true })
    expect((await browser.get('/auth/sessions')).status).toBe(403)
    const change = { current_password: 'changeme', new_password: 'another long pass phrase' }
    expect((await browser.send('POST', '/auth/password', change)).status).toBe(204)
    expect((await browser.get('/auth/sessions')).status).toBe(200)
  })

  test.each(Object.entries(foreign))('of %s is refused, whatever the body', async (_, headers) => {
    for (const body of [{ username: username(), password: good }, {}, undefined])
      expect((await open().send('POST', '/auth/session', body, headers)).status).toBe(403)
    expect(await sessionIds()).toEqual([])
  })

  test('does not accept JSON as text', async () => {
    const headers = { ...fromPage, 'content-type': 'text/plain' }
    expect((await open().send('POST', '/auth/session', { username: username(), password: good }, headers)).status).toBe(
      415,
    )
  })

  test('starts another session than one that someone planted, and ends that one', async () => {
    const other = (await accounts.makeUser()).username
    const attacker = open()
    await attacker.signIn(other, good)
    const victim = open()
    victim.set(attacker.valueOf())
    await victim.signIn(username(), good)
    expect(victim.valueOf()).not.toBe(attacker.valueOf())
    expect(await sessionIds()).toHaveLength(1)
    expect((await attacker.get('/auth/session')).status).toBe(401)
  })

  test('in two tabs at once leaves both signed in', async () => {
    const [one, two] = [open(), open()]
    const responses = await Promise.all([one.signIn(username(), good), two.signIn(username(), good)])
    expect(responses.map(({ status }) => status)).toEqual([200, 200])
    expect((await one.get('/auth/session')).status).toBe(200)
    expect((await two.get('/auth/session')).status).toBe(200)
  })

  test('recognizes the device at the next sign-in', async () => {
    const browser = await signedIn()
    expect(browser.valueOf('audittrail_device')).not.toBe('')
    const response = await browser.signIn(username(), good)
    expect(response.headers.getSetCookie()[1]).toContain('; Path=/api/auth/session;')
  })
})

describe('GET /auth/session', () => {
  test('takes the cookie, also from the address bar', async () => {
    const browser = await signedIn()
    for (const headers of [fromPage, { 'sec-fetch-site': 'none', 'sec-fetch-mode': 'navigate' }, {}])
      expect(await (await browser.get('/auth/session', headers)).json()).toMatchObject({
        user: { username: username() },
      })
  })

  test('takes a bearer token rather than the cookie, whose failure is final', async () => {
    const browser = await signedIn()
    const other = await accounts.makeUser()
    const token = await application().accessToken(other.username, good)
    const bearer = (value: string) => ({ ...fromPage, authorization: `Bearer ${value}` })
    expect(await (await browser.get('/auth/session', bearer(token))).json()).toMatchObject({ user: { id: other.id } })
    for (const bad of ['x', `${token}x`, 'x y', ''])
      expect((await browser.get('/auth/session', bearer(bad))).status).toBe(401)
  })

  test('looks at the cookie beside another scheme', async () => {
    const browser = await signedIn()
    expect((await browser.get('/auth/session', { ...fromPage, authorization: 'Basic eDp5' })).status).toBe(200)
  })

  test.each(Object.entries(foreign).filter(([name]) => name !== 'nowhere'))('of %s is refused', async (_, headers) => {
    expect((await (await signedIn()).get('/auth/session', headers)).status).toBe(403)
  })

  test('ends with the session', async () => {
    const browser = await signedIn()
    application().clock.now += 120 * 60_000
    expect((await browser.get('/auth/session')).status).toBe(401)
  })
})

describe('DELETE /auth/session', () => {
  test('ends the session and deletes the cookie', async () => {
    const browser = await signedIn()
    const cookie = browser.valueOf()
    const response = await browser.send('DELETE', '/auth/session')
    expect([response.status, response.headers.get('clear-site-data')]).toEqual([204, '"cache"'])
    expect(browser.valueOf()).toBe('')
    browser.set(cookie)
    expect((await browser.get('/auth/session')).status).toBe(401)
    expect((await browser.send('DELETE', '/auth/session')).status).toBe(204)
  })

  test.each(Object.entries(foreign))('of %s is refused', async (_, headers) => {
    const browser = await signedIn()
    expect((await browser.send('DELETE', '/auth/session', undefined, headers)).status).toBe(403)
    expect((await browser.get('/auth/session')).status).toBe(200)
  })

  test('does not end the session of a token', async () => {
    const token = await application().accessToken(username(), good)
    const headers = { ...fromPage, authorization: `Bearer ${token}` }
    expect((await open().send('DELETE', '/auth/session', undefined, headers)).status).toBe(400)
    expect((await application().me(token)).status).toBe(200)
  })
})
