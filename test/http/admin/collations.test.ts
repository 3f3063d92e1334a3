import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { openTestApplication, type TestApplication } from '../../application.ts'
import { createAccounts, good } from '../accounts.ts'

/** As adopted: its columns ignore case, and `username` ignores accents too. */
const table = `
  CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
  CREATE COLLATION plain (provider = icu, locale = 'und-u-ks-level1', deterministic = false);
  CREATE TABLE users (id uuid PRIMARY KEY, username varchar(50) COLLATE plain NOT NULL UNIQUE,
    hashed_password varchar(255) COLLATE ci NOT NULL, full_name varchar(100) COLLATE ci NOT NULL, is_active boolean NOT NULL);
  INSERT INTO users VALUES (gen_random_uuid(), 'Zoé', '!', 'Zoé Ångström', true)`

describe('columns with a nondeterministic collation', () => {
  let application: TestApplication
  let token: string
  beforeAll(async () => {
    application = await openTestApplication('PostgreSQL', { databaseSql: table })
    token = (await makeAdministrator()).token
  })
  afterAll(() => application.close())

  const { json, makeAdministrator, makeUser, signIn, statusOfMe } = createAccounts(() => application)
  const create = (username: string) =>
    json('POST', '/users', token, { username, full_name: 'Made Up', password: good, must_change_password: false })
  const found = async (text: string) => {
    const response = await json('GET', `/users?q=${encodeURIComponent(text)}`, token)
    expect(response.status).toBe(200)
    return ((await response.json()) as { items: { username: string }[] }).items.map(({ username }) => username)
  }

  test('are searched without regard to case', async () => {
    expect((await create('Some.Body')).status).toBe(201)
    for (const text of ['some', 'SOME.b', 'made up', 'UP']) expect(await found(text)).toContain('Some.Body')
    expect(await found('so%e')).toEqual([])
    expect(await found('Ångs')).toEqual(['Zoé'])
  })

  test('find a duplicate that only the collation sees', async () => {
    const response = await create('zoe')
    expect(response.status).toBe(409)
    expect(await response.json()).toMatchObject({ detail: 'This username is taken.' })
  })

  test('carry sign-in, rehashing and a password change', async () => {
    const { username, id } = await makeUser()
    const hash = await Bun.password.hash(good, { algorithm: 'bcrypt', cost: 4 })
    await application.sql(`UPDATE users SET hashed_password = '${hash}' WHERE id = '${id}'`)
    const { access_token: own } = await signIn(username.toUpperCase())
    expect(await statusOfMe(own)).toBe(200)
    const [row] = await application.sql(`SELECT hashed_password FROM users WHERE id = '${id}'`)
    expect(row?.hashed_password).toStartWith('$argon2id$')
    const body = { current_password: good, new_password: 'another long pass phrase' }
    expect((await json('POST', '/auth/password', own, body)).status).toBe(204)
  })
})
