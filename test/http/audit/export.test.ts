import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { parse } from 'csv-parse/sync'
import { databaseKinds, openTestApplication, type TestApplication } from '../../application.ts'
import { createAccounts } from '../accounts.ts'
import { fill } from './auditLog.ts'

const formats = ['application/x-ndjson', 'text/csv'] as const

describe.each(databaseKinds)('an export of audit events from %s', (kind) => {
  let application: TestApplication
  let boss: { username: string; id: string; token: string }
  beforeAll(async () => {
    application = await openTestApplication(kind)
    boss = await accounts.makeAdministrator()
    await fill(application, 1234, { type: "CASE i % 100 WHEN 7 THEN 'user.deleted' ELSE 'logout' END" })
  })
  afterAll(() => application.close())

  const accounts = createAccounts(() => application)
  const get = (query: string, accept: string, method = 'GET', token = boss.token) =>
    application.http.handle(
      new Request(`http://localhost/api/audit/events${query}`, {
        method,
        headers: { authorization: `Bearer ${token}`, accept, 'x-request-id': 'the-export' },
      }),
      '192.0.2.7',
    )
  const ndjson = async (query = ''): Promise<{ index: number; type: string }[]> => {
    const text = await (await get(query, 'application/x-ndjson')).text()
    expect(text === '' || text.endsWith('\n')).toBe(true)
    return text
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line))
  }
  const recorded = async () => {
    const rows = await application.sql('SELECT leaf FROM audittrail_audit_pending ORDER BY id')
    return rows.map(({ leaf }) => JSON.parse(String(leaf))).filter(({ type }) => type === 'audit.exported')
  }
  const count = async () =>
    Number((await application.sql('SELECT count(*)::integer AS n FROM audittrail_audit_events'))[0]?.n)

  test('has every record once, in the order of the list', async () => {
    const total = await count()
    const newest = await ndjson()
    expect(newest.map(({ index }) => index)).toEqual(Array.from({ length: total }, (_, place) => total - 1 - place))
    const oldest = await ndjson('?order=oldest')
    expect(oldest.slice(0, total)).toEqual(newest.toReversed())
    const text = await (await get('?order=oldest', 'text/csv')).text()
    const [header = [], ...lines] = parse(text) as string[][]
    expect(header[0]).toBe('index')
    expect(lines.map(([index]) => Number(index)).slice(0, total)).toEqual(
      oldest.map(({ index }) => index).slice(0, total),
    )
  })

  test('is filtered, starts at a cursor and ends at a limit, like the list', async () => {
    const deleted = await ndjson('?type=user.deleted')
    expect(deleted).toHaveLength(13)
    expect(await ndjson('?type=user.deleted&limit=5')).toEqual(deleted.slice(0, 5))
    expect(await ndjson('?type=user.deleted&since=2020-01-01T00:00:00Z')).toEqual(deleted)
    const response = await get('?type=user.deleted&limit=5', 'application/json')
    const { items, next } = (await response.json()) as { items: unknown[]; next: string }
    expect(items).toEqual(deleted.slice(0, 5))
    expect(await ndjson(`?type=user.deleted&after=${next}`)).toEqual(deleted.slice(5))
  })

  test('has its headers', async () => {
    const csv = await get('?limit=1', 'text/csv')
    expect(csv.headers.get('content-type')).toBe('text/csv; charset=utf-8; header=present')
    expect(csv.headers.get('cache-control')).toBe('no-store')
    expect(csv.headers.get('vary')).toBe('Accept')
    expect(csv.headers.get('x-content-type-options')).toBe('nosniff')
    const lines = await get('?limit=1', 'application/x-ndjson')
    expect(lines.headers.get('content-type')).toBe('application/x-ndjson')
    await Promise.all([csv.text(), lines.text()])
  })

  test('without a record is empty, or a header alone', async () => {
    expect(await ndjson('?type=no.such')).toEqual([])
    expect(await (await get('?type=no.such', 'text/csv')).text()).toMatch(/^index,time,[a-z_,]+\r\n$/)
  })

  test('is recorded with its format and the names of its filters, and a page is not', async () => {
    const exported = await recorded()
    await (await get('?type=logout&limit=1', 'text/csv')).text()
    await (await get('?user=x', 'text/csv')).text()
    await (await get('', 'application/json')).text()
    const [event, ...others] = (await recorded()).slice(exported.length)
    expect(others).toEqual([])
    expect(event).toMatchObject({
      type: 'audit.exported',
      outcome: 'done',
      by: { kind: 'user', id: boss.id },
      request: 'the-export',
      facts: { format: 'csv', filters: ['type'] },
    })
  })

  test('does not begin if it cannot be recorded', async () => {
    await application.sql('ALTER TABLE audittrail_audit_pending RENAME TO audittrail_audit_gone')
    for (const format of formats) expect((await get('', format)).status).toBe(503)
    await application.sql('ALTER TABLE audittrail_audit_gone RENAME TO audittrail_audit_pending')
  })

  test('of a growing log ends where the log ended at the first page', async () => {
    const total = await count()
    const response = await get('?order=oldest', 'application/x-ndjson')
    const reader = (response.body as ReadableStream<Uint8Array>).getReader()
    const decoder = new TextDecoder()
    let text = ''
    for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read()) {
      text += decoder.decode(chunk.value)
      await fill(application, 700)
    }
    expect(text.split('\n')).toHaveLength(total + 1)
  })

  test('whose later page fails breaks off with an error, and is logged', async () => {
    const response = await get('', 'text/csv')
    const reader = (response.body as ReadableStream<Uint8Array>).getReader()
    await reader.read()
    await application.sql('ALTER TABLE audittrail_audit_events RENAME TO audittrail_audit_gone')
    await expect(reader.read()).rejects.toThrow()
    await application.sql('ALTER TABLE audittrail_audit_gone RENAME TO audittrail_audit_events')
    expect(application.lines.at(-1)).toMatchObject({ event: 'audit.export_failed', request_id: 'the-export' })
  })

  const revocations = [
    ['the session ends', (id: string) => application.sql(`DELETE FROM audittrail_sessions WHERE user_id = '${id}'`)],
    ['the user is disabled', (id: string) => application.sql(`UPDATE users SET is_active = false WHERE id = '${id}'`)],
    ['the user loses the role', (id: string) => application.sql(`UPDATE users SET roles = '{}' WHERE id = '${id}'`)],
    ['the user is deleted', (id: string) => application.sql(`DELETE FROM users WHERE id = '${id}'`)],
  ] as const
  test.each(revocations)('breaks off at the next page once %s', async (_, revoke) => {
    const other = await accounts.makeAdministrator()
    const response = await get('', 'text/csv', 'GET', other.token)
    const reader = (response.body as ReadableStream<Uint8Array>).getReader()
    await reader.read()
    await revoke(other.id)
    expect(await reader.read().catch(({ code }) => code)).toBe('invalid_token')
    expect(application.lines.at(-1)).toMatchObject({ event: 'audit.export_failed', request_id: 'the-export' })
  })

  test('breaks off at the next page once the API key is revoked', async () => {
    const key = await application.apiKey({ scopes: ['audit:read'] })
    const response = await get('', 'application/x-ndjson', 'GET', key)
    const reader = (response.body as ReadableStream<Uint8Array>).getReader()
    await reader.read()
    await application.sql('UPDATE audittrail_api_keys SET revoked_at = now()')
    expect(await reader.read().catch(({ code }) => code)).toBe('invalid_token')
  })

  test('does not break off because the access token expires', async () => {
    const other = await accounts.makeAdministrator()
    const response = await get('', 'application/x-ndjson', 'GET', other.token)
    const reader = (response.body as ReadableStream<Uint8Array>).getReader()
    await reader.read()
    application.clock.now += 31 * 60_000
    let chunk = await reader.read()
    while (!chunk.done) chunk = await reader.read()
    application.clock.now -= 31 * 60_000
  })

  test('of which the client has read enough reads no more', async () => {
    let scans = 0
    const { scanEvents } = application.deps.database.audit
    Object.assign(application.deps.database.audit, {
      scanEvents: (...scan: Parameters<typeof scanEvents>) => {
        scans++
        return scanEvents(...scan)
      },
    })
    const response = await get('', 'application/x-ndjson')
    expect(scans).toBe(1)
    const reader = (response.body as ReadableStream<Uint8Array>).getReader()
    await reader.read()
    await reader.read()
    expect(scans).toBe(2)
    await reader.cancel()
    expect(scans).toBe(2)
    Object.assign(application.deps.database.audit, { scanEvents })
  })

  test('breaks off when the server ends all requests', async () => {
    const response = await get('', 'application/x-ndjson')
    const reader = (response.body as ReadableStream<Uint8Array>).getReader()
    await reader.read()
    application.http.expireAllRequests()
    await expect(reader.read()).rejects.toThrow('shutting down')
  })

  test('by HEAD has no body, reads nothing of the log and is not recorded', async () => {
    const exported = await recorded()
    await application.sql('ALTER TABLE audittrail_audit_events RENAME TO audittrail_audit_gone')
    const response = await get('', 'text/csv', 'HEAD')
    expect(response.status).toBe(200)
    expect(response.headers.get('content-type')).toStartWith('text/csv')
    expect(await response.text()).toBe('')
    await application.sql('ALTER TABLE audittrail_audit_gone RENAME TO audittrail_audit_events')
    expect(await recorded()).toEqual(exported)
  })

  test('has hostile texts unchanged', async () => {
    const agents = [
      '=1+1',
      'a"b',
      'tab\there',
      '\u2028',
      `${'😀'.repeat(1024)}`,
      '\ud800 alone',
      'NUL\0',
      '{}[]',
      "'; DROP",
    ]
    for (const agent of agents) {
      const personal = JSON.stringify({ salt: 'x', username: agent, agent })
      await fill(application, 1, { type: "'logout'" })
      await application.sql(`UPDATE audittrail_audit_events SET by_private = '${personal.replaceAll("'", "''")}'
        WHERE index = (SELECT max(index) FROM audittrail_audit_events)`)
    }
    const query = `?limit=${agents.length}`
    const page = (await (await get(query, 'application/json')).json()) as { items: { by: { username: string } }[] }
    expect(page.items.map(({ by }) => by.username).toReversed()).toEqual(agents)
    const lines = (await ndjson(query)) as unknown as typeof page.items
    expect(lines.map(({ by }) => by.username).toReversed()).toEqual(agents)
    const records = parse(await (await get(query, 'text/csv')).text(), { columns: true }) as { by_username: string }[]
    const expected = agents.map((agent) => (agent.startsWith('=') ? `'${agent}` : agent.toWellFormed()))
    expect(records.map((record) => record.by_username).toReversed()).toEqual(expected)
  })
})
