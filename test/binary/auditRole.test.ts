import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import postgres from 'postgres'
import { until } from '../condition.ts'
import { createDatabase } from '../postgresql.ts'
import { login, run, type Server, serve } from './binary.ts'

const password = 'a long pass phrase'

describe('a server whose role has the documented GRANTs', () => {
  const role = `r${crypto.randomUUID().replaceAll('-', '')}`
  let owner: postgres.Sql
  let environment: Record<string, string>
  let server: Server

  beforeAll(async () => {
    const url = new URL(await createDatabase())
    owner = postgres(url.href, { max: 1, onnotice: () => {} })
    environment = {
      SECRET_KEY: 'k'.repeat(32),
      ADMIN_PASSWORD: password,
      METRICS: '127.0.0.1:0',
      PASSWORD_MEMORY_KIB: '8192',
      PASSWORD_TIME_COST: '1',
      DATABASE_URL: url.href,
    }
    expect(await run(['migrate'], { environment })).toMatchObject({ code: 0 })
    const text = readFileSync(join(import.meta.dir, '../../docs/install.md'), 'utf8')
    const [, grants = ''] = /## PostgreSQL privileges[\s\S]*?```sql\n([\s\S]*?)```/.exec(text) ?? []
    await owner.unsafe(`CREATE ROLE ${role} LOGIN PASSWORD 'secret'`)
    await owner.unsafe(
      grants.replaceAll('TO audittrail;', `TO ${role};`).replace('DATABASE app', `DATABASE ${url.pathname.slice(1)}`),
    )
    url.username = role
    url.password = 'secret'
    environment.DATABASE_URL = url.href
    server = await serve({ environment })
  })
  afterAll(async () => {
    await server.stop()
    await owner.unsafe(`DROP OWNED BY ${role}; DROP ROLE ${role}`)
    await owner.end()
  })

  const types = async () => {
    const { code, stdout, stderr } = await run(['audit', 'list', '--json'], { environment })
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    return stdout
      .split('\n')
      .filter(Boolean)
      .map((line) => (JSON.parse(line) as { readonly type: string }).type)
  }

  /** The metric of the alert AuditTrailAuditPending, in seconds. */
  const pendingAge = async () => {
    const listening = server.output.stdout.split('\n').find((line) => line.includes('"metrics.listening"')) ?? '{}'
    const { url } = JSON.parse(listening) as { readonly url: string }
    const metrics = await (await fetch(url)).text()
    return Number(/^audittrail_audit_pending_age_seconds (\S+)$/m.exec(metrics)?.[1])
  }

  const signIns = async () => (await types()).filter((type) => type === 'login.succeeded').length

  test('records, lists and verifies events', async () => {
    expect((await login(server.url, 'admin', password)).status).toBe(200)
    await until(async () => (await signIns()) === 1)
    expect(await run(['audit', 'verify'], { environment })).toMatchObject({ code: 0 })
  })

  test('verifies although the result cannot be recorded', async () => {
    await owner.unsafe(`REVOKE INSERT ON audittrail_audit_pending FROM ${role}`)
    const { code, stdout } = await run(['audit', 'verify'], { environment })
    await owner.unsafe(`GRANT INSERT ON audittrail_audit_pending TO ${role}`)
    expect(stdout).toMatch(/^The audit log is intact: [\s\S]*^Note: this result is not in the audit log: .*42501.*\.$/m)
    expect(code).toBe(0)
  })

  test('signs users in while it cannot add to the log, reports the age of the events, and adds them later', async () => {
    await owner.unsafe(`REVOKE INSERT ON audittrail_audit_events FROM ${role}`)
    expect((await login(server.url, 'admin', password)).status).toBe(200)
    await until(async () => (await pendingAge()) > 0)
    expect((await login(server.url, 'admin', password)).status).toBe(200)
    expect(await signIns()).toBe(1)
    await owner.unsafe(`GRANT INSERT ON audittrail_audit_events TO ${role}`)
    await until(async () => (await signIns()) === 3)
    await until(async () => (await pendingAge()) === 0)
    expect(await run(['audit', 'verify'], { environment })).toMatchObject({ code: 0 })
  })
})
