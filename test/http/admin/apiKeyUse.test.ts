import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { generateApiKey } from '../../../src/domain/apiKeys/apiKeyFormat.ts'
import { databaseKinds, openTestApplication, type TestApplication } from '../../application.ts'
import { until } from '../../condition.ts'
import { createApiKeyCalls, insertUsers } from '../apiKeyCalls.ts'

const day = 86_400_000

describe.each(databaseKinds)('the use of an API key on %s', (kind) => {
  let application: TestApplication
  beforeAll(async () => {
    application = await openTestApplication(kind)
    await insertUsers(application)
  })
  afterAll(() => application.close())

  const { call, find, make } = createApiKeyCalls(() => application)

  test('leaves no part of the key in the database or the log', async () => {
    const { key } = await make({ name: 'secretive', scopes: ['users:read'], roles: ['staff'] })
    await call('GET', '/users', key)
    await application.call(`/${key}`)
    await application.call(`/users?after=${key}`, { headers: { authorization: `Bearer ${key}x` } })
    const tables = await application.sql(`SELECT table_schema || '.' || quote_ident(table_name) AS name
        FROM information_schema.tables WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('pg_catalog', 'information_schema')`)
    expect(tables.length).toBeGreaterThan(7)
    const secret = key.slice('atk_'.length, -6)
    const parts = [key, secret, secret.slice(0, 8), secret.slice(-8), Buffer.from(key).toString('base64').slice(0, -2)]
    for (const { name } of tables) {
      const rows = JSON.stringify(await application.sql(`SELECT to_json(t)::text AS row FROM ${name} t`))
      for (const part of parts) expect(rows).not.toContain(part)
    }
    const lines = JSON.stringify(application.lines)
    for (const part of parts) expect(lines).not.toContain(part)
  })

  test('is recorded at most once a minute', async () => {
    const { id, key } = await make({ name: 'busy', scopes: ['users:read'], roles: ['staff'] })
    const writes = async () =>
      String((await application.sql(`SELECT xmin::text FROM audittrail_api_keys WHERE id = '${id}'`))[0]?.xmin)
    const first = new Date(application.clock.now).toISOString()
    const made = await writes()
    for (let use = 0; use < 5; use++) await call('GET', '/users', key)
    await call('GET', '/auth/verify', key)
    await until(async () => (await find(id))?.last_used_at === first)
    const noted = await writes()
    expect(noted).not.toBe(made)
    application.clock.now += 59_999
    await call('GET', '/users', key)
    await settled(application)
    expect([await writes(), (await find(id))?.last_used_at]).toEqual([noted, first])
    application.clock.now += 1
    const later = new Date(application.clock.now).toISOString()
    await Promise.all(Array.from({ length: 20 }, () => call('GET', '/users', key)))
    await until(async () => (await find(id))?.last_used_at === later)
  })

  test('is recorded correctly after a clock was a day ahead', async () => {
    const { id, key } = await make({ name: 'early', scopes: ['users:read'] })
    const { now } = application.clock
    application.clock.now = now + day
    await call('GET', '/users', key)
    await until(async () => (await find(id))?.last_used_at === new Date(now + day).toISOString())
    application.clock.now = now
    await call('GET', '/users', key)
    await until(async () => (await find(id))?.last_used_at === new Date(now).toISOString())
  })

  test('succeeds while it cannot be recorded', async () => {
    const { key } = await make({ name: 'unnoted', scopes: ['users:read'] })
    await application.sql('ALTER TABLE audittrail_api_keys RENAME COLUMN last_used_at TO hidden')
    await application.sql(
      'ALTER TABLE audittrail_api_keys ADD COLUMN last_used_at timestamptz GENERATED ALWAYS AS (NULL) STORED',
    )
    expect((await call('GET', '/users', key)).status).toBe(200)
    await until(async () => application.lines.some(({ event }) => event === 'api_key.use_not_noted'))
    await application.sql('ALTER TABLE audittrail_api_keys DROP COLUMN last_used_at')
    await application.sql('ALTER TABLE audittrail_api_keys RENAME COLUMN hidden TO last_used_at')
    expect((await call('GET', '/users', key)).status).toBe(200)
  })

  test('on a route without API keys is logged; the response does not reveal whether the key is valid', async () => {
    const { id, key } = await make({ name: 'prying', scopes: ['users:write'], roles: ['admin'] })
    for (const [method, path] of [
      ['POST', '/api-keys'],
      ['DELETE', `/api-keys/${id}`],
      ['GET', '/blocks'],
      ['GET', '/auth/me'],
      ['POST', '/auth/password'],
      ['GET', '/auth/sessions'],
      ['GET', '/auth/activity'],
    ] as const) {
      const bodies = []
      for (const presented of [key, 'atk_nonsense']) {
        const response = await call(method, path, presented)
        const { request_id: _, ...body } = (await response.json()) as Record<string, unknown>
        bodies.push([response.status, body])
      }
      expect(bodies[0]).toEqual(bodies[1] as never)
      expect(bodies[0]?.[0]).toBe(401)
      const [valid, invalid] = application.lines.filter(({ event }) => event === 'api_key.refused').slice(-2)
      expect(valid).toMatchObject({ reason: 'scope', api_key: id, service: 'prying', address: '192.0.2.7' })
      expect(invalid).toMatchObject({ reason: 'malformed' })
    }
  })

  test('computes no password hash for a rejected key, and only log and metrics report the reason', async () => {
    const before = Number(/^audittrail_hash_duration_seconds_count (\d+)/m.exec(await application.metrics())?.[1])
    const past = new Date(application.clock.now + 1000).toISOString()
    const expired = await application.apiKey({ scopes: ['users:read'], expires_at: past })
    const revoked = await application.apiKey({ scopes: ['users:read'] })
    await application.call('/auth/revoke', { method: 'POST', body: new URLSearchParams({ token: revoked }) })
    application.clock.now += 1000
    const bodies = []
    for (const key of [expired, revoked, generateApiKey(), 'atk_nonsense']) {
      const response = await call('GET', '/users', key)
      const { request_id: _, ...body } = (await response.json()) as Record<string, unknown>
      bodies.push([response.status, body])
    }
    expect(bodies[1]).toEqual(bodies[0] as never)
    expect(bodies[2]).toEqual(bodies[0] as never)
    expect(bodies[3]).toEqual(bodies[0] as never)
    const reasons = application.lines.filter(({ event }) => event === 'api_key.refused').slice(-4)
    expect(reasons.map(({ reason }) => reason)).toEqual(['expired', 'revoked', 'unknown', 'malformed'])
    expect(reasons[0]).toMatchObject({ service: 'machine', address: '192.0.2.7', level: 'warn' })
    const metrics = await application.metrics()
    for (const outcome of ['accepted', 'scope', 'expired', 'revoked', 'unknown', 'malformed'])
      expect(metrics).toMatch(new RegExp(`^audittrail_api_keys_shown_total{outcome="${outcome}"} [1-9]`, 'm'))
    expect(Number(/^audittrail_hash_duration_seconds_count (\d+)/m.exec(metrics)?.[1])).toBe(before)
  })
})

/** Waits for writes that no request waits for: the database runs them in order. */
async function settled(application: TestApplication): Promise<void> {
  for (let round = 0; round < 3; round++) await application.sql('SELECT 1')
}
