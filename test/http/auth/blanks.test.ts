import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { trimBlanks } from '../../../src/userFields.ts'
import { databaseKinds, hashOf, openTestApplication, type TestApplication } from '../../application.ts'
import { good } from '../accounts.ts'
import { createSignIns } from '../signIns.ts'

describe.each(databaseKinds)('blanks around a username on %s', (kind) => {
  let application: TestApplication
  beforeAll(async () => {
    application = await openTestApplication(kind, { trustedProxies: ['127.0.0.1'] })
  })
  beforeEach(() => application.sql('DELETE FROM audittrail_attempts'))
  afterAll(() => application.close())

  const { deviceOf, guess, login, waitOf, newName } = createSignIns(() => application)
  const addUser = async (username: string, password = good) => {
    const hash = await hashOf(password)
    const [row] = await application.sql(
      `INSERT INTO users (username, hashed_password, full_name) VALUES (E'${username}', '${hash}', 'U') RETURNING id`,
    )
    return String(row?.id)
  }
  const json = (username: string, password: string) =>
    application.call('/auth/login', {
      method: 'POST',
      body: JSON.stringify({ username, password }),
      headers: { 'content-type': 'application/json' },
    })
  const usernameOf = async (response: Response) => {
    const { access_token } = (await response.json()) as { access_token: string }
    return ((await (await application.me(access_token)).json()) as { username: string }).username
  }

  test.each([' ', '\t', '\n', '\r\n', '\v', '\f', '   '])('are removed: %j', async (blank) => {
    const name = newName('ada')
    await addUser(name)
    for (const entered of [`${name}${blank}`, `${blank}${name}`, `${blank}${name.toUpperCase()}${blank}`]) {
      expect(await usernameOf(await login(entered, good))).toBe(name)
      expect(await usernameOf(await json(entered, good))).toBe(name)
    }
  })

  test.each(['\u00a0', '\u3000', '\ufeff', '\u2028'])('stay if they are not ASCII: %j', async (blank) => {
    const name = newName('eva')
    await addUser(name)
    expect((await login(`${name}${blank}`, good)).status).toBe(401)
  })

  test('inside the name stay', async () => {
    await addUser('two words')
    expect(await usernameOf(await login(' two words ', good))).toBe('two words')
    expect((await login('twowords', good)).status).toBe(401)
  })

  test('alone are the name of an adopted user, or of an unknown one', async () => {
    for (const response of [await login(' \t ', good), await json(' ', good)]) expect(response.status).toBe(401)
    await addUser('  ')
    expect(await usernameOf(await login('  ', good))).toBe('  ')
    expect((await login(' ', good)).status).toBe(401)
  })

  test('never change the password', async () => {
    const name = newName('pia')
    await addUser(name, ` ${good} `)
    expect((await login(name, good)).status).toBe(401)
    expect((await login(name, ` ${good} `)).status).toBe(200)
  })

  test('share one counter with the name, for existing and unknown users', async () => {
    const known = newName('kim')
    await addUser(known)
    for (const name of [known, newName('unknown')]) {
      for (const entered of [name, ` ${name}`, `${name} `, `\t${name}`, `${name}\n`, name.toUpperCase()])
        expect(await guess(entered, 1)).toEqual([401])
      for (const entered of [name, ` ${name} `, `${name}\r`]) expect(await waitOf(entered)).toBeGreaterThan(0)
    }
    expect(application.lines.findLast(({ event, username }) => event === 'login.failed' && username)).toMatchObject({
      username: known,
    })
  })

  test('of an adopted name are matched exactly first', async () => {
    const name = newName('bob')
    await addUser(`${name} `, `${good} of the name with a blank`)
    expect(await usernameOf(await login(`${name} `, `${good} of the name with a blank`))).toBe(`${name} `)
    expect((await login(name, `${good} of the name with a blank`)).status).toBe(401)
    await addUser(name, good)
    expect(await usernameOf(await login(name, good))).toBe(name)
    expect(await usernameOf(await login(` ${name}`, good))).toBe(name)
    expect(await usernameOf(await login(`${name}  `, good))).toBe(name)
    expect((await login(`${name} `, good)).status).toBe(401)
    expect(await usernameOf(await login(`${name.toUpperCase()} `, `${good} of the name with a blank`))).toBe(`${name} `)
  })

  test('of an adopted name share its counter and its block', async () => {
    const name = newName('tim')
    const ids = [await addUser(name), await addUser(`${name}\t`)]
    const headers = { authorization: `Bearer ${await application.accessToken()}` }
    await application.sql(`UPDATE users SET must_change_password = false WHERE username = 'admin'`)
    headers.authorization = `Bearer ${await application.accessToken()}`
    for (const id of ids) {
      await guess(name, 3)
      await guess(`${name}\t`, 3)
      expect(await waitOf(name)).toBeGreaterThan(0)
      expect(await waitOf(`${name}\t`)).toBeGreaterThan(0)
      const { items } = (await (await application.call('/blocks', { headers })).json()) as { items: object[] }
      expect(items).toMatchObject([{ username: name }])
      expect((await application.call(`/users/${id}/blocks`, { method: 'DELETE', headers })).status).toBe(204)
      expect((await login(name, good)).status).toBe(200)
    }
  })

  test('of an adopted name keep its sign-ins from resetting the counter of the name', async () => {
    const name = newName('max')
    await addUser(name)
    await addUser(`${name} `, `${good} of the name with a blank`)
    await guess(name, 3)
    expect((await login(`${name} `, `${good} of the name with a blank`)).status).toBe(200)
    await guess(name, 3)
    expect(await waitOf(name)).toBeGreaterThan(0)
  })

  test('do not hide a known device, which stays unknown to a twin of the name', async () => {
    const name = newName('una')
    await addUser(name)
    await addUser(`${name} `)
    const cookie = deviceOf(await login(name, good))
    const cookieOfTwin = deviceOf(await login(`${name} `, good))
    await guess(name, 8, { address: '198.51.100.9' })
    const address = '198.51.100.9'
    expect((await login(name, good, { cookie, address })).status).toBe(200)
    expect(await waitOf(name, { cookie: cookieOfTwin, address })).toBeGreaterThan(0)
    expect((await login(` ${name}`, good, { cookie, address })).status).toBe(200)
  })
})

describe('trimBlanks', () => {
  test('keeps a long run of blanks inside', () => {
    const text = `a${' '.repeat(60_000)}b`
    expect(trimBlanks(`\r\n ${text}\t`)).toBe(text)
    expect(trimBlanks(' '.repeat(60_000))).toBe('')
  })
})
