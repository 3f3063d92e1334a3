import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { databaseKinds, openTestApplication, type TestApplication } from '../../application.ts'

describe.each(databaseKinds)('ready on %s', (kind) => {
  let application: TestApplication
  beforeAll(async () => {
    application = await openTestApplication(kind)
  })
  afterAll(() => application.close())
  beforeEach(() => {
    application.lines.length = 0
  })

  const readyStatus = async () => (await application.call('/ready')).status
  const lastReason = () => application.lines.findLast(({ event }) => event === 'readiness.lost')

  test('returns 503 until the signing keys are in the database, and then a login succeeds', async () => {
    await application.sql('CREATE TABLE kept AS SELECT * FROM audittrail_keys')
    await application.sql('DELETE FROM audittrail_keys')
    expect(await readyStatus()).toBe(503)
    expect(lastReason()).toMatchObject({
      reason: 'keys_unavailable',
      detail: expect.stringContaining('no signing keys'),
    })
    await application.sql('INSERT INTO audittrail_keys SELECT * FROM kept')
    expect(await readyStatus()).toBe(200)
    expect((await application.login()).status).toBe(200)
  })

  test('follows the stored keys once those in memory are too old to sign with', async () => {
    expect(await readyStatus()).toBe(200)
    await application.sql('DELETE FROM audittrail_keys')
    application.clock.now += 60_000
    expect(await readyStatus()).toBe(503)
    expect((await application.login()).status).toBe(503)
    await application.sql('INSERT INTO audittrail_keys SELECT * FROM kept')
    application.clock.now += 60_000
    expect(await readyStatus()).toBe(200)
  })

  test.each([
    ['users', 'full_name'],
    ['users', 'hashed_password'],
    ['users', 'roles'],
    ['users', 'created_at'],
    ['audittrail_sessions', 'expires_at'],
    ['audittrail_attempts', 'failures'],
    ['audittrail_instance', 'secret_key_fingerprint'],
    ['audittrail_keys', 'kid'],
  ])('returns 503 while a login cannot use %s.%s, and logs the name of the column', async (table, column) => {
    await application.sql(`ALTER TABLE ${table} RENAME ${column} TO renamed`)
    expect(await readyStatus()).toBe(503)
    expect(lastReason()?.detail).toMatch(new RegExp(`schema was changed.*42703.*${column}`))
    await application.sql(`ALTER TABLE ${table} RENAME renamed TO ${column}`)
    expect(await readyStatus()).toBe(200)
  })

  test.each(['users', 'audittrail_sessions', 'audittrail_attempts'])(
    'returns 503 while the table %s is missing, and logs its name',
    async (table) => {
      await application.sql(`ALTER TABLE ${table} RENAME TO renamed`)
      expect(await readyStatus()).toBe(503)
      expect(lastReason()?.detail).toMatch(new RegExp(`schema was changed.*42P01.*${table}`))
      await application.sql(`ALTER TABLE renamed RENAME TO ${table}`)
      expect(await readyStatus()).toBe(200)
    },
  )
})

test('ready: returns 503 if the database was used with a different SECRET_KEY', async () => {
  const application = await openTestApplication('PostgreSQL')
  await application.sql("UPDATE audittrail_instance SET secret_key_fingerprint = repeat('0', 64)")
  expect((await application.call('/ready')).status).toBe(503)
  const [line] = application.lines.filter(({ event }) => event === 'readiness.lost')
  expect(line).toMatchObject({ reason: 'keys_unavailable', detail: expect.stringContaining('different SECRET_KEY') })
  await application.close()
})

test('ready: returns 503 while reads get no response, although other operations do', async () => {
  const application = await openTestApplication('PostgreSQL')
  expect((await application.call('/ready')).status).toBe(200)
  const release = await application.hold('LOCK TABLE audittrail_keys')
  expect((await application.call('/ready')).status).toBe(503)
  await release()
  expect((await application.call('/ready')).status).toBe(200)
  await application.close()
})
