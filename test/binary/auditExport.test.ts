import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import postgres from 'postgres'
import { createDatabase } from '../postgresql.ts'
import { accessToken, type Server, serve } from './binary.ts'

const environment = {
  SECRET_KEY: 'k'.repeat(32),
  ADMIN_PASSWORD: 'a long enough pass phrase',
  PASSWORD_MEMORY_KIB: '8192',
  PASSWORD_TIME_COST: '1',
}

describe('an export of the audit log', () => {
  let server: Server
  let sql: postgres.Sql
  let token: string
  beforeAll(async () => {
    const url = await createDatabase()
    server = await serve({ environment: { ...environment, DATABASE_URL: url } })
    token = await accessToken(server.url, 'admin', environment.ADMIN_PASSWORD)
    sql = postgres(url, { max: 1, onnotice: () => {} })
    await sql`
      INSERT INTO audittrail_audit_events (index, leaf, hash, seal, process, n, time, type, outcome, by_private)
      SELECT i, '{}', decode(repeat('00', 32), 'hex'), '', 'p', i, now(), 'logout', 'done',
        json_build_object('agent', repeat('x', 900))
      FROM generate_series(100, 40000) i`
  })
  afterAll(async () => {
    await sql.end()
    await server.stop()
  })

  /**
   * Requests an export, and reads nothing of it until `socket.resume()`, then one chunk at first.
   */
  async function request(bearer = token) {
    const chunks: Buffer[] = []
    const closed = Promise.withResolvers<void>()
    const first = Promise.withResolvers<void>()
    const { hostname, port } = new URL(server.origin)
    const head = `GET /api/audit/events?order=oldest HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${bearer}\r\nAccept: text/csv\r\n\r\n`
    const socket = await Bun.connect({
      hostname,
      port: Number(port),
      socket: {
        open: (opened) => {
          opened.pause()
          opened.write(head)
        },
        data: (receiving, chunk) => {
          if (chunks.length === 0) receiving.pause()
          chunks.push(chunk)
          first.resolve()
        },
        close: () => closed.resolve(),
        error: () => closed.resolve(),
      },
    })
    return { socket, first: first.promise, closed: closed.promise, text: () => Buffer.concat(chunks).toString() }
  }
  const isServing = async () => (await fetch(`${server.origin}/api/health`)).status === 200
  const scans = async () =>
    Number((await sql`SELECT idx_scan FROM pg_stat_user_tables WHERE relname = 'audittrail_audit_events'`)[0]?.idx_scan)
  /** Waits until the reads no longer increase by pages of 500. */
  const settledScans = async () => {
    let [before, now] = [Number.NEGATIVE_INFINITY, await scans()]
    while (now - before >= 500) {
      await Bun.sleep(1100)
      ;[before, now] = [now, await scans()]
    }
    return now
  }
  const begun = async () => {
    for (let exported = 0, before = await recorded(); exported <= before; exported = await recorded())
      await Bun.sleep(5)
  }
  const recorded = async () =>
    Number((await sql`SELECT count(*) AS n FROM audittrail_audit_pending WHERE leaf LIKE '%audit.exported%'`)[0]?.n)

  test('is complete for a client that reads it', async () => {
    const headers = { authorization: `Bearer ${token}`, accept: 'application/x-ndjson' }
    const response = await fetch(`${server.origin}/api/audit/events?from_index=100`, { headers })
    const lines = (await response.text()).trimEnd().split('\n')
    expect(lines.map((line) => JSON.parse(line).index)).toEqual(Array.from({ length: 39_901 }, (_, i) => 40_000 - i))
  })

  test('that fails on the way ends without the last chunk', async () => {
    const { socket, first, closed, text } = await request()
    socket.resume()
    await first
    await sql`ALTER TABLE audittrail_audit_events RENAME TO audittrail_audit_gone`
    socket.resume()
    await closed
    await sql`ALTER TABLE audittrail_audit_gone RENAME TO audittrail_audit_events`
    expect(text()).toStartWith('HTTP/1.1 200 OK')
    expect(text()).not.toEndWith('0\r\n\r\n')
    expect(await isServing()).toBe(true)
    // The log is written a moment later. Without the line, the test times out.
    while (!server.output.stdout.includes('"event":"audit.export_failed"')) await Bun.sleep(20)
    expect(server.output.stderr).toBe('')
  })

  test('of an administrator whose session ends on the way ends without the last chunk', async () => {
    const { socket, first, closed, text } = await request(
      await accessToken(server.url, 'admin', environment.ADMIN_PASSWORD),
    )
    socket.resume()
    await first
    await sql`DELETE FROM audittrail_sessions WHERE id = (SELECT id FROM audittrail_sessions ORDER BY created_at DESC LIMIT 1)`
    socket.resume()
    await closed
    expect(text()).toStartWith('HTTP/1.1 200 OK')
    expect(text()).not.toEndWith('0\r\n\r\n')
    expect(text().split('\n').length).toBeLessThan(39_901)
    expect(await isServing()).toBe(true)
    expect(server.output.stderr).toBe('')
  })

  test('of a client that does not read or disconnects reads no more of the log', async () => {
    const earlier = await settledScans()
    const started = begun()
    const { socket } = await request()
    await started
    await settledScans()
    socket.terminate()
    // PostgreSQL reports reads late. A rest that is read for no client would be about 39,000 rows.
    expect((await settledScans()) - earlier).toBeLessThan(10_000)
    expect(await isServing()).toBe(true)
  }, 30_000)

  test('does not keep the server from stopping', async () => {
    const started = begun()
    const { socket, first, closed, text } = await request()
    await started
    const { code, stderr } = await server.stop()
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    socket.resume()
    await first
    socket.resume()
    await closed
    expect(text()).not.toEndWith('0\r\n\r\n')
    expect(server.output.stdout).toContain('"event":"server.stopped"')
  }, 30_000)
})
