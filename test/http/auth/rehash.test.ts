import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { databaseKinds, openTestApplication, type TestApplication } from '../../application.ts'
import { createAccounts, good } from '../accounts.ts'

describe.each(databaseKinds)('rehashing at login on %s', (kind) => {
  let application: TestApplication
  beforeAll(async () => {
    application = await openTestApplication(kind)
  })
  afterAll(() => application.close())

  const { makeUser, signIn, statusOfMe } = createAccounts(() => application)

  test('accepts twenty logins at once that find an outdated hash', async () => {
    const { username } = await makeUser()
    const hash = await Bun.password.hash(good, { algorithm: 'bcrypt', cost: 4 })
    await application.sql(`UPDATE users SET hashed_password = '${hash}' WHERE username = '${username}'`)
    const responses = await Promise.all(Array.from({ length: 20 }, () => application.login(username, good)))
    expect(responses.map(({ status }) => status)).toEqual(responses.map(() => 200))
  })

  test('keeps the session when the new hash cannot be stored', async () => {
    const { username } = await makeUser()
    const hash = await Bun.password.hash(good, { algorithm: 'bcrypt', cost: 4 })
    await application.sql(`UPDATE users SET hashed_password = '${hash}' WHERE username = '${username}'`)
    await application.sql(`
        CREATE FUNCTION reject() RETURNS trigger LANGUAGE plpgsql AS
          $$ BEGIN RAISE EXCEPTION 'disk full' USING ERRCODE = '53100'; END $$`)
    await application.sql(
      'CREATE TRIGGER reject BEFORE UPDATE OF hashed_password ON users FOR EACH ROW EXECUTE FUNCTION reject()',
    )
    const grant = await signIn(username)
    expect(await statusOfMe(grant.access_token)).toBe(200)
    await application.sql('DROP TRIGGER reject ON users')
    await application.sql('DROP FUNCTION reject()')
    expect((await application.login(username, good)).status).toBe(200)
    const [row] = await application.sql(`SELECT hashed_password FROM users WHERE username = '${username}'`)
    expect(row?.hashed_password).toStartWith('$argon2id$')
  })

  test('skips a password of which bcrypt has read only the first 72 bytes', async () => {
    const { username } = await makeUser()
    const long = 'p'.repeat(72)
    const hash = await Bun.password.hash(long, { algorithm: 'bcrypt', cost: 4 })
    await application.sql(`UPDATE users SET hashed_password = '${hash}' WHERE username = '${username}'`)
    expect((await application.login(username, `${long} and a slip`)).status).toBe(200)
    expect((await application.login(username, `${long} and its real end`)).status).toBe(200)
  })

  test.each([
    ['costs less', { algorithm: 'bcrypt', cost: 4 }],
    ['costs more', { algorithm: 'argon2id', memoryCost: 1024, timeCost: 3 }],
    ['uses another variant', { algorithm: 'argon2d', memoryCost: 1024, timeCost: 1 }],
  ] as const)('replaces a hash that %s', async (_difference, options) => {
    const { username } = await makeUser()
    const hash = await Bun.password.hash(good, options)
    await application.sql(`UPDATE users SET hashed_password = '${hash}' WHERE username = '${username}'`)
    await signIn(username)
    const [row] = await application.sql(`SELECT hashed_password FROM users WHERE username = '${username}'`)
    expect(row?.hashed_password).toStartWith('$argon2id$v=19$m=1024,t=1,p=1$')
    expect((await application.login(username, good)).status).toBe(200)
  })
})
