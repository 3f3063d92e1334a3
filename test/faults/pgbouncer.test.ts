import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import postgres from 'postgres'
import { parseDatabaseUrl } from '../../src/config/databaseUrl.ts'
import { openDatabase } from '../../src/db/database.ts'
import { openPool } from '../../src/db/pool/pool.ts'
import { login, me, run, type Server, serve } from '../binary/binary.ts'
import { until } from '../condition.ts'
import { type PostgresqlServer, startServer } from '../postgresqlServer.ts'
import { hasProgram } from '../requirements.ts'
import { password, startLoad } from './load.ts'
import { type Pooler, startPooler } from './pooler.ts'

const isHere = hasProgram('pgbouncer', 'pgbouncer')
const environment = {
  SECRET_KEY: 'k'.repeat(32),
  ADMIN_PASSWORD: password,
  PASSWORD_CONCURRENCY: '2',
  PASSWORD_MEMORY_KIB: '8192',
  PASSWORD_TIME_COST: '1',
}

describe.skipIf(!isHere)('PgBouncer in transaction mode', () => {
  let database: PostgresqlServer
  let pooler: Pooler
  let own: postgres.Sql
  let server: Server

  const urlOf = (name: string, query = '') => `postgresql://postgres@127.0.0.1:${pooler.port}/${name}${query}`

  beforeAll(async () => {
    database = await startServer()
    own = postgres(database.url, { max: 1, onnotice: () => {} })
    for (const name of ['shown', 'declared', 'many']) await own`CREATE DATABASE ${own(name)}`
    pooler = await startPooler(database.port)
    server = await serve({ environment: { ...environment, DATABASE_URL: urlOf('declared', '?pgbouncer=true') } })
  })

  afterAll(async () => {
    await server?.stop()
    await own?.end({ timeout: 1 })
    pooler?.stop()
    await database?.stop()
  })

  test('carries sign-in, refresh and administration', async () => {
    const { url } = server
    const form = (fields: Record<string, string>) => ({ method: 'POST', body: new URLSearchParams(fields) })
    const grant = await ask(`${url}/auth/login`, form({ username: 'admin', password, scope: 'offline_access' }))
    const next = await ask(`${url}/auth/refresh`, form({ refresh_token: String(grant.body.refresh_token) }))
    expect(next.status).toBe(200)
    const headers = { authorization: `Bearer ${next.body.access_token}`, 'content-type': 'application/json' }
    const json = (method: string, body: object) => ({ method, headers, body: JSON.stringify(body) })
    const made = await ask(`${url}/users`, json('POST', { username: 'ada', full_name: 'Ada' }))
    expect(made.status).toBe(201)
    const user = `${url}/users/${made.body.id}`
    expect((await ask(user, json('PATCH', { is_active: false }))).body).toMatchObject({ is_active: false })
    expect((await ask(`${user}/password`, json('POST', {}))).status).toBe(200)
    expect((await fetch(user, { method: 'DELETE', headers })).status).toBe(204)
  })

  test('carries API keys: creation, use, last use, introspection and revocation', async () => {
    const { url } = server
    const token = String(((await (await login(url, 'admin', password)).json()) as Record<string, unknown>).access_token)
    const as = (credential: string) => ({ authorization: `Bearer ${credential}`, 'content-type': 'application/json' })
    const draft = { name: 'pooled', scopes: ['users:read', 'introspect'], roles: ['staff'] }
    const post = { method: 'POST', headers: as(token), body: JSON.stringify(draft) }
    const { id, key } = (await ask(`${url}/api-keys`, post)).body as { id: string; key: string }
    for (const path of ['/users', '/auth/verify'])
      expect((await fetch(`${url}${path}`, { headers: as(key) })).ok).toBe(true)
    const asking = {
      method: 'POST',
      headers: { authorization: `Bearer ${key}` },
      body: new URLSearchParams({ token: key }),
    }
    expect((await ask(`${url}/auth/introspect`, asking)).body).toMatchObject({ active: true, client_id: 'pooled' })
    const used = async () => {
      const { items } = (await ask(`${url}/api-keys`, { headers: as(token) })).body as {
        items: Record<string, unknown>[]
      }
      return items.find((item) => item.id === id)?.last_used_at
    }
    await until(async () => Boolean(await used()))
    expect(await used()).toBeString()
    expect((await fetch(`${url}/api-keys/${id}`, { method: 'DELETE', headers: as(token) })).status).toBe(204)
    expect((await fetch(`${url}/users`, { headers: as(key) })).status).toBe(401)
  })

  test('carries browser sessions: sign-in, checks, a change of the password, the list and sign-out', async () => {
    await run(['user', 'add', 'bea'], {
      environment: { ...environment, DATABASE_URL: urlOf('declared', '?pgbouncer=true') },
      input: password,
    })
    const post = (path: string, fields: Record<string, string>, cookie = '') => {
      const headers = { 'sec-fetch-site': 'same-origin', cookie }
      return fetch(server.url + path, {
        method: 'POST',
        headers,
        body: new URLSearchParams(fields),
        redirect: 'manual',
      })
    }
    const cookieOf = (response: Response) => response.headers.getSetCookie()[0]?.split(';')[0] ?? ''
    const cookie = cookieOf(await post('/sign-in', { username: 'bea', password, stay: 'true' }))
    const statuses = (sent: string) =>
      Promise.all(
        Array.from({ length: 20 }, async (_, at) => {
          const headers = { 'sec-fetch-site': 'same-origin', cookie: sent, 'x-original-method': 'GET' }
          return (await fetch(server.url + ['/auth/session', '/auth/verify'][at % 2], { headers })).status
        }),
      )
    expect(new Set(await statuses(cookie))).toEqual(new Set([200, 204]))
    const change = { current_password: password, new_password: `${password} once more` }
    const renewed = cookieOf(await post('/account/password', change, cookie))
    expect(renewed).toStartWith('audittrail=ats_')
    const { body } = await ask(`${server.url}/auth/sessions`, {
      headers: { cookie: renewed, 'sec-fetch-site': 'same-origin' },
    })
    expect(body.items).toMatchObject([{ kind: 'browser', stay: true, current: true }])
    await post('/sign-out', {}, renewed)
    expect(new Set(await statuses(renewed))).toEqual(new Set([401]))
  })

  test('carries 200 concurrent logins', async () => {
    const answers = await Promise.all(Array.from({ length: 200 }, () => login(server.url, 'admin', password)))
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]))
    const tokens = await Promise.all(answers.map((answer) => answer.json() as Promise<{ access_token: string }>))
    const statuses = await Promise.all(
      tokens.map(async ({ access_token: token }) => (await me(server.url, token)).status),
    )
    expect(new Set(statuses)).toEqual(new Set([200]))
  })

  test('carries a migration started six times at once', async () => {
    const url = urlOf('many', '?pgbouncer=true')
    const outcomes = await Promise.all(
      Array.from({ length: 6 }, () => run(['migrate'], { environment: { ...environment, DATABASE_URL: url } })),
    )
    expect(outcomes.map(({ code, stderr }) => ({ code, stderr }))).toEqual(
      outcomes.map(() => ({ code: 0, stderr: '' })),
    )
    expect(outcomes.filter(({ stdout }) => stdout.startsWith('Created the tables'))).toHaveLength(1)
  })

  test('is detected where DATABASE_URL does not declare it', async () => {
    const other = await serve({ environment: { ...environment, DATABASE_URL: urlOf('shown') } })
    const answers = await Promise.all(Array.from({ length: 20 }, () => login(other.url, 'admin', password)))
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]))
    await other.stop()
  })

  test.each(['repeatable read', 'serializable'])(
    'serves a database with German dates and the isolation level %s',
    async (level) => {
      const name = level.replaceAll(' ', '_')
      await own`CREATE DATABASE ${own(name)}`
      await own.unsafe(`ALTER DATABASE ${name} SET datestyle TO 'German'`)
      await own.unsafe(`ALTER DATABASE ${name} SET default_transaction_isolation TO '${level}'`)
      const other = await serve({ environment: { ...environment, DATABASE_URL: urlOf(name) } })
      const form = (fields: Record<string, string>) => ({ method: 'POST', body: new URLSearchParams(fields) })
      const credentials = { username: 'admin', password, scope: 'offline_access' }
      const { body } = await ask(`${other.url}/auth/login`, form(credentials))
      const present = () => ask(`${other.url}/auth/refresh`, form({ refresh_token: String(body.refresh_token) }))
      const refreshed = await Promise.all(Array.from({ length: 20 }, present))
      expect(refreshed.map(({ status }) => status)).toEqual(refreshed.map(() => 200))
      const headers = { authorization: `Bearer ${refreshed[0]?.body.access_token}` }
      expect((await ask(`${other.url}/users`, { headers })).status).toBe(200)
      const statuses = []
      for (let failure = 0; failure < 7; failure++) statuses.push((await login(other.url, 'admin', 'wrong')).status)
      expect(statuses).toEqual([401, 401, 401, 401, 401, 401, 429])
      await other.stop()
    },
  )

  test('keeps no lock and no setting of an index that was built', async () => {
    const url = urlOf('indexed', '?pgbouncer=true')
    await own`CREATE DATABASE indexed`
    await own`ALTER DATABASE indexed SET lock_timeout TO '7s'`
    await run(['migrate'], { environment: { ...environment, DATABASE_URL: url } })
    const direct = postgres(database.url.replace(/postgres$/, 'indexed'), { max: 1, onnotice: () => {} })
    const replicas = [1, 2].map(() =>
      openDatabase(openPool({ kind: 'server', address: parseDatabaseUrl(url), poolSize: 2 })),
    )
    const traffic = postgres(urlOf('indexed'), { max: 8, prepare: false })
    let isOver = false
    const busy = Array.from({ length: 8 }, async () => {
      while (!isOver) await traffic`SELECT pg_sleep(0.001)`
    })
    for (let round = 0; round < 10; round++) {
      await direct`UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'audittrail_sessions_sweep_at'::regclass`
      const remaining = await Promise.all(replicas.map((replica) => replica.completeIndexes()))
      expect(Math.min(...remaining)).toBe(0)
    }
    isOver = true
    await Promise.all(busy)
    expect(await direct`SELECT FROM pg_locks WHERE locktype = 'advisory'`).toHaveLength(0)
    const ask = () => traffic`SELECT pg_sleep(0.05), current_setting('lock_timeout') AS setting`
    const settings = await Promise.all(Array.from({ length: 8 }, ask))
    expect(new Set(settings.map(([row]) => row?.setting))).toEqual(new Set(['7s']))
    for (const replica of replicas) await replica.close()
    await traffic.end()
    await direct.end()
  })

  test('lets the server cancel abandoned statements while a lock is held', async () => {
    const waiting = () => own`SELECT pid FROM pg_stat_activity WHERE datname = 'declared' AND wait_event_type = 'Lock'`
    const locker = postgres(database.url.replace(/postgres$/, 'declared'), { max: 1 })
    await locker.begin(async (transaction) => {
      await transaction`LOCK TABLE audittrail_sessions IN ACCESS EXCLUSIVE MODE`
      const answer = login(server.url, 'admin', password)
      await until(async () => (await waiting()).length === 1)
      expect((await answer).status).toBe(503)
      await until(async () => (await waiting()).length === 0)
    })
    await locker.end()
    expect((await login(server.url, 'admin', password)).status).toBe(200)
  })

  test('recovers from a restart of the server behind it', async () => {
    const load = await startLoad(server)
    await Bun.sleep(300)
    await database.halt('immediate')
    await Bun.sleep(500)
    await database.restart()
    expect(await load.untilHealthy()).toBeLessThan(5000)
    await load.stop()
    await load.verify()
    expect(load.answers.filter(({ status, what }) => ![200, 204, 503].includes(status) && what !== 'verify')).toEqual(
      [],
    )
    expect(Math.max(...load.answers.map(({ milliseconds }) => milliseconds))).toBeLessThan(6000)
    expect(server.output.stdout).not.toContain('process.stray_error')
  })
})

async function ask(url: string, init: RequestInit): Promise<{ status: number; body: Record<string, unknown> }> {
  const response = await fetch(url, init)
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}
