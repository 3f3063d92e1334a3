import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { databaseKinds, openTestApplication, type TestApplication } from '../../application.ts'
import { good } from '../accounts.ts'
import { createSignIns, minute } from '../signIns.ts'

describe.each(databaseKinds)('a failed sign-in that cannot be counted on %s', (kind) => {
  let application: TestApplication
  beforeAll(async () => {
    application = await openTestApplication(kind, { trustedProxies: ['127.0.0.1'] })
    await application.sql(`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql
      AS $$ BEGIN RAISE EXCEPTION 'not today'; END $$`)
  })
  afterAll(() => application.close())
  beforeEach(async () => {
    await application.sql('DELETE FROM audittrail_attempts')
  })
  afterEach(async () => {
    await application.sql('DROP TRIGGER IF EXISTS refuse ON audittrail_attempts')
  })

  const { guess, login, makeUser, newName, waitOf } = createSignIns(() => application)
  const refuseCounting = () =>
    application.sql(
      'CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON audittrail_attempts FOR EACH ROW EXECUTE FUNCTION refuse()',
    )
  const events = (event: string) => application.lines.filter((line) => line.event === event)

  test.each(['an existing account', 'an unknown username'])('is rejected, logged and delayed for %s', async (which) => {
    const username = which === 'an unknown username' ? newName('unknown') : (await makeUser()).username
    await refuseCounting()
    const before = [events('login.failed').length, events('throttle.failed').length]
    expect(await guess(username, 6)).toEqual([401, 401, 401, 401, 401, 401])
    expect(await waitOf(username)).toBe(1)
    application.clock.now += 1000
    expect(await guess(username, 1)).toEqual([401])
    expect(await waitOf(username)).toBe(2)
    expect([events('login.failed').length, events('throttle.failed').length]).toEqual(before.map((count) => count + 7))
    expect(events('throttle.failed').at(-1)).toMatchObject({
      level: 'error',
      message: expect.stringContaining('P0001'),
    })
    application.clock.now += 15 * minute
    expect(await guess(username, 5)).toEqual([401, 401, 401, 401, 401])
  })

  test('adds to the failures that were counted before, and a sign-in clears them', async () => {
    const { username } = await makeUser()
    await guess(username, 3)
    await refuseCounting()
    await guess(username, 2)
    await application.sql('DROP TRIGGER refuse ON audittrail_attempts')
    await guess(username, 1)
    expect(await waitOf(username)).toBeGreaterThan(0)
    application.clock.now += 15 * minute
    await guess(username, 3)
    await refuseCounting()
    await guess(username, 2)
    await application.sql('DROP TRIGGER refuse ON audittrail_attempts')
    expect((await login(username, good)).status).toBe(200)
    await refuseCounting()
    expect(await guess(username, 5)).toEqual([401, 401, 401, 401, 401])
  })

  test('at different accounts throttles their network, for fifteen minutes from the first one', async () => {
    await refuseCounting()
    const origin = { address: '203.0.113.77' }
    for (let number = 0; number < 21; number++) {
      if (number === 20) application.clock.now += 14 * minute
      expect(await guess(newName('unknown'), 1, origin)).toEqual([401])
    }
    expect(await waitOf(newName('unknown'), origin)).toBe(1)
    application.clock.now += minute
    expect(await guess(newName('unknown'), 5, origin)).toEqual([401, 401, 401, 401, 401])
  })

  test('is delayed on other networks too', async () => {
    const { username } = await makeUser()
    await refuseCounting()
    for (let number = 1; number <= 6; number++)
      expect(await guess(username, 1, { address: `198.51.100.${number}` })).toEqual([401])
    expect(await waitOf(username, { address: '198.51.100.7' })).toBeGreaterThan(0)
  })

  test('delays a wrong current password the same way', async () => {
    const { username } = await makeUser()
    const token = await application.accessToken(username, good)
    const change = () =>
      application.call('/auth/password', {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: JSON.stringify({ current_password: 'wrong', new_password: 'another long pass phrase' }),
      })
    await refuseCounting()
    const before = events('password.change_failed').length
    for (let round = 0; round < 6; round++) expect((await change()).status).toBe(422)
    expect((await change()).status).toBe(429)
    expect(events('password.change_failed')).toHaveLength(before + 6)
  })
})
