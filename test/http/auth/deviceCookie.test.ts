import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { databaseKinds, openTestApplication, type TestApplication } from '../../application.ts'
import { good } from '../accounts.ts'
import { createSignIns } from '../signIns.ts'

describe.each(databaseKinds)('a known device on %s', (kind) => {
  let application: TestApplication
  beforeAll(async () => {
    application = await openTestApplication(kind, { trustedProxies: ['127.0.0.1'] })
  })
  afterAll(() => application.close())
  beforeEach(async () => {
    await application.sql('DELETE FROM audittrail_attempts')
  })

  const { deviceOf, guess, login, makeUser, newName, waitOf } = createSignIns(() => application)

  test('gets a cookie at a successful login, for the login path only', async () => {
    const { username } = await makeUser()
    const plain = (await login(username, good)).headers.get('set-cookie') ?? ''
    expect(plain).toMatch(
      /^audittrail_device=[\w.-]+; Max-Age=34560000; Path=\/api\/auth\/login; HttpOnly; SameSite=Strict$/,
    )
    const headers = { 'x-forwarded-proto': 'https', 'x-forwarded-for': '203.0.113.9' }
    const secure = await login(username, good, { address: '127.0.0.1', headers })
    expect(secure.headers.get('set-cookie')).toEndWith('; SameSite=Strict; Secure')
    expect((await login(username, 'wrong')).headers.get('set-cookie')).toBeNull()
  })

  test('signs in during an attack on its account and network', async () => {
    const { username } = await makeUser()
    const cookie = deviceOf(await login(username, good))
    for (let number = 0; number < 25; number++) {
      await guess(username, 1)
      await guess(newName('unknown'), 1)
      await guess(username, 1, { address: `198.51.100.${number}` })
    }
    expect((await login(username, good)).status).toBe(429)
    expect((await login(username, good, { cookie })).status).toBe(200)
    expect((await login(username, good, { cookie, address: '198.51.100.99' })).status).toBe(200)
  })

  test('has its own five failures, separate from those of other devices', async () => {
    const { username } = await makeUser()
    const cookie = deviceOf(await login(username, good))
    expect(await guess(username, 6, { cookie })).toEqual([401, 401, 401, 401, 401, 401])
    expect(await waitOf(username, { cookie })).toBe(1)
    expect((await login(username, good)).status).toBe(200)
    application.clock.now += 1000
    expect((await login(username, good, { cookie })).status).toBe(200)
    expect(await guess(username, 5, { cookie })).toEqual([401, 401, 401, 401, 401])
  })

  test('is known only to accounts that have signed in on it', async () => {
    const [first, second, stranger] = [await makeUser(), await makeUser(), await makeUser()]
    const cookie = deviceOf(await login(second.username, good, { cookie: deviceOf(await login(first.username, good)) }))
    for (const { username } of [first, second, stranger]) await guess(username, 6)
    expect((await login(first.username, good, { cookie })).status).toBe(200)
    expect((await login(second.username, good, { cookie })).status).toBe(200)
    expect((await login(stranger.username, good, { cookie })).status).toBe(429)
  })

  test('is not recognized by a forged cookie', async () => {
    const { username } = await makeUser()
    const cookie = deviceOf(await login(username, good))
    const [device = '', mac = ''] = (cookie.split('=')[1] ?? '').split('.')
    await guess(username, 6)
    const flipped = (mac[0] === 'A' ? 'B' : 'A') + mac.slice(1)
    for (const forged of [
      `${device}.${flipped}`,
      `${'A'.repeat(22)}.${mac}`,
      device,
      '',
      `${device}.${mac}.`,
      'x'.repeat(8000),
      '{"a":1}',
      `${device}.${mac}${mac}`,
    ]) {
      const { status } = await login(username, good, { cookie: `audittrail_device=${forged}` })
      expect(status).toBe(429)
    }
    expect((await login(username, good, { cookie: `other=1; ${cookie}; last=2` })).status).toBe(200)
  })

  test('gets no access by its cookie alone', async () => {
    const { username } = await makeUser()
    const cookie = deviceOf(await login(username, good))
    for (const path of ['/auth/me', '/auth/sessions', '/users']) {
      expect((await application.call(path, { headers: { cookie } })).status).toBe(401)
    }
  })

  test('is throttled at password changes separately from logins', async () => {
    const { username } = await makeUser()
    const token = await application.accessToken(username, good)
    const change = (current_password: string) =>
      application.call('/auth/password', {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: JSON.stringify({ current_password, new_password: 'another long pass phrase' }),
      })
    for (let number = 0; number < 6; number++) expect((await change('wrong')).status).toBe(422)
    const throttled = await change(good)
    expect(throttled.status).toBe(429)
    expect(throttled.headers.get('retry-after')).toBe('1')
    expect((await login(username, good)).status).toBe(200)
    application.clock.now += 1000
    expect((await change(good)).status).toBe(204)
  })
})
