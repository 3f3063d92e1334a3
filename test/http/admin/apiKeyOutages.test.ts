import { describe, expect, test } from 'bun:test'
import { openTestApplication } from '../../application.ts'
import { until } from '../../condition.ts'

describe('a locked table of API keys', () => {
  test('delays the recording of a hundred uses, on one connection', async () => {
    const application = await openTestApplication('PostgreSQL')
    const keys = await Promise.all(
      Array.from({ length: 100 }, (_, index) => application.apiKey({ name: `held-${index}`, roles: ['x'] })),
    )
    // Building an index takes the same lock.
    const release = await application.hold('LOCK TABLE audittrail_api_keys IN SHARE MODE')
    const count = async (what: string) => Number((await application.sql(`SELECT count(*) AS n FROM ${what}`))[0]?.n)
    const verify = (key: string) => application.call('/auth/verify', { headers: { authorization: `Bearer ${key}` } })
    const responses = await Promise.all(keys.map(verify))
    expect(new Set(responses.map(({ status }) => status))).toEqual(new Set([204]))
    const waiting = "pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    await until(async () => (await count(waiting)) > 0)
    expect(await count(waiting)).toBe(1)
    await release()
    // The first recording was waiting for the lock. If it timed out, a later use is recorded.
    await until(async () => (await count('audittrail_api_keys WHERE last_used_at IS NULL')) <= 1)
    await until(async () => {
      await Promise.all(keys.map(verify))
      return (await count('audittrail_api_keys WHERE last_used_at IS NULL')) === 0
    })
    await application.close()
  })
})

describe('a failing database', () => {
  test('returns 503 with Retry-After for a valid API key', async () => {
    const broken = await openTestApplication('PostgreSQL')
    const key = await broken.apiKey({ scopes: ['users:read', 'introspect'], roles: ['staff'] })
    const headers = { authorization: `Bearer ${key}` }
    await broken.sql('ALTER TABLE audittrail_api_keys RENAME TO gone')
    const body = new URLSearchParams({ token: key })
    const responses = [
      await broken.call('/users', { headers }),
      await broken.call('/auth/verify', { headers }),
      await broken.call('/auth/introspect', { method: 'POST', headers, body }),
    ]
    for (const response of responses)
      expect([response.status, response.headers.has('retry-after')]).toEqual([503, true])
    await broken.close()
  })

  test('leaves an API key active if its revocation cannot be recorded', async () => {
    const broken = await openTestApplication('PostgreSQL')
    const token = await broken.apiKey({ scopes: ['users:read'] })
    await broken.sql('ALTER TABLE audittrail_services RENAME TO gone')
    const body = new URLSearchParams({ token })
    expect((await broken.call('/auth/revoke', { method: 'POST', body })).status).toBe(503)
    expect(await broken.sql('SELECT scopes FROM audittrail_api_keys')).toHaveLength(1)
    await broken.close()
  })
})

test('an API key is found by an index among a hundred thousand', async () => {
  const application = await openTestApplication('PostgreSQL')
  await application.apiKey({ name: 'first', roles: ['x'] })
  // In parts, since no statement may take more than a few seconds.
  for (let part = 0; part < 40; part++)
    await application.sql(`INSERT INTO audittrail_api_keys (service_id, digest, created_by, created_at)
      SELECT s.id, md5(i::text), 'test', now() FROM audittrail_services s, generate_series(${part * 2500}, ${part * 2500 + 2499}) i`)
  await application.sql('ANALYZE audittrail_api_keys')
  const plan = await application.sql(`EXPLAIN SELECT k.*, s.name
    FROM unnest(ARRAY[md5('5'), md5('6')]) WITH ORDINALITY AS d (digest, position)
    JOIN audittrail_api_keys k ON k.digest = d.digest JOIN audittrail_services s ON s.id = k.service_id`)
  expect(JSON.stringify(plan)).toContain('audittrail_api_keys_digest_unique')
  await application.close()
})
