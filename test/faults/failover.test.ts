import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import postgres from 'postgres'
import { login, me, type Server, serve } from '../binary/binary.ts'
import { until } from '../condition.ts'
import { freePort, type PostgresqlServer, startServer } from '../postgresqlServer.ts'
import { password } from './load.ts'
import { startMachineClock } from './machineClock.ts'
import { type MovableAddress, startMovableAddress } from './movableAddress.ts'

const environment = {
  SECRET_KEY: 'k'.repeat(32),
  ADMIN_PASSWORD: password,
  PASSWORD_MEMORY_KIB: '8192',
  PASSWORD_TIME_COST: '1',
}
/** Milliseconds after both replicas have reached the new primary. */
const grace = 2000

describe('a failover to an asynchronous standby that is behind', () => {
  let primary: PostgresqlServer
  let standby: PostgresqlServer
  let address: MovableAddress
  let standbyClient: postgres.Sql
  let replicas: readonly Server[]
  let metricsUrl: string

  beforeAll(async () => {
    primary = await startServer()
    const bootstrap = postgres(primary.url, { max: 1 })
    await bootstrap`CREATE DATABASE app`
    await bootstrap.end()
    standby = await primary.startStandby()
    standbyClient = postgres(standby.url, { max: 1, onnotice: () => {} })
    address = await startMovableAddress(primary.port)
    const url = `postgresql://postgres@127.0.0.1:${address.port}/app`
    const metricsPort = await freePort()
    metricsUrl = `http://127.0.0.1:${metricsPort}/metrics`
    replicas = [
      await serve({ environment: { ...environment, DATABASE_URL: url, METRICS: `127.0.0.1:${metricsPort}` } }),
      await serve({ environment: { ...environment, DATABASE_URL: url } }),
    ]
  })

  afterAll(async () => {
    for (const replica of replicas ?? []) await replica.stop()
    await standbyClient?.end({ timeout: 1 })
    await address?.stop()
    await standby?.stop()
    await primary?.stop()
  })

  const [first, second] = [() => replicas[0] as Server, () => replicas[1] as Server]

  const json = (server: Server, token: string, method: string, path: string, body?: object) =>
    fetch(`${server.url}${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, ...(body ? { 'content-type': 'application/json' } : {}) },
      ...(body ? { body: JSON.stringify(body) } : {}),
    })

  async function signIn(server: Server, username = 'admin', secret = password): Promise<string> {
    const response = await login(server.url, username, secret)
    if (response.status !== 200) throw new Error(`login returned ${response.status}`)
    return ((await response.json()) as { access_token: string }).access_token
  }

  /** Waits until the standby has everything, then cuts it off from the primary. */
  async function leaveBehind(): Promise<void> {
    const client = postgres(primary.url, { max: 1 })
    while ((await client`SELECT FROM pg_stat_replication WHERE replay_lsn >= pg_current_wal_lsn()`).length === 0)
      await Bun.sleep(10)
    await client.end()
    await standbyClient.unsafe("ALTER SYSTEM SET primary_conninfo = ''")
    await standbyClient`SELECT pg_reload_conf()`
    while ((await standbyClient`SELECT FROM pg_stat_wal_receiver`).length > 0) await Bun.sleep(10)
  }

  async function failOver(): Promise<void> {
    await primary.halt('immediate')
    address.moveTo(standby.port)
    await standbyClient`SELECT pg_promote()`
  }

  test('ends ended sessions and revoked keys again, and logs the loss', async () => {
    const kept = await signIn(first())
    const create = async (username: string) =>
      (await (
        await json(first(), kept, 'POST', '/users', {
          username,
          full_name: username,
          password,
          must_change_password: false,
        })
      ).json()) as { id: string }
    await create('changed')
    const [disabled, deleted, demoted] = [await create('disabled'), await create('deleted'), await create('demoted')]
    await json(first(), kept, 'PATCH', `/users/${demoted.id}`, { roles: ['admin'] })
    // Half of them end on the replica that did not start them.
    const sessions = await Promise.all(Array.from({ length: 6 }, (_, index) => signIn(replicas[index % 2] as Server)))
    const disabledToken = await signIn(first(), 'disabled')
    const changedToken = await signIn(first(), 'changed')
    const otherChangedToken = await signIn(second(), 'changed')
    const demotedToken = await signIn(first(), 'demoted')
    const { id, key } = (await (
      await json(first(), kept, 'POST', '/api-keys', { name: 'machine', scopes: ['users:read'], roles: [] })
    ).json()) as { id: string; key: string }
    await leaveBehind()

    for (const [index, token] of sessions.entries())
      expect((await json(replicas[index % 3 === 0 ? 1 : 0] as Server, token, 'POST', '/auth/logout')).status).toBe(204)
    expect((await json(second(), kept, 'DELETE', `/api-keys/${id}`)).status).toBe(204)
    expect((await json(second(), kept, 'PATCH', `/users/${disabled.id}`, { is_active: false })).status).toBe(200)
    expect((await json(first(), kept, 'PATCH', `/users/${demoted.id}`, { roles: [] })).status).toBe(200)
    expect((await json(first(), kept, 'DELETE', `/users/${deleted.id}`)).status).toBe(204)
    const next = 'another long pass phrase'
    const change = { current_password: password, new_password: next }
    expect((await json(first(), changedToken, 'POST', '/auth/password', change)).status).toBe(204)
    const lost = await signIn(first())
    const ended = [...sessions, disabledToken, otherChangedToken]
    // The position of the WAL is read 200 ms after a change.
    await Bun.sleep(2000)
    await failOver()

    const clock = startMachineClock()
    const reachedAt: number[] = []
    const isReached = () => replicas.every((_, index) => reachedAt[index] !== undefined)
    const accepted: number[] = []
    const probe = async (replica: Server, index: number) => {
      while (!isReached() || clock.now() < Math.max(...reachedAt) + grace + 500) {
        const sentAt = clock.now()
        const statuses = await Promise.all(ended.map(async (token) => (await me(replica.url, token)).status))
        if (statuses.includes(200)) accepted.push(sentAt)
        if (statuses.every((status) => status !== 503)) reachedAt[index] ??= clock.now()
        expect(statuses.filter((status) => ![200, 401, 503].includes(status))).toEqual([])
      }
    }
    await Promise.all(replicas.map(probe))
    clock.stop()
    const deadline = Math.max(...reachedAt) + grace
    expect(accepted.filter((at) => at > deadline)).toEqual([])
    for (const replica of replicas) {
      expect((await me(replica.url, kept)).status).toBe(200)
      expect((await me(replica.url, lost)).status).toBe(401)
      expect((await json(replica, key, 'GET', '/users')).status).toBe(401)
      expect((await login(replica.url, 'disabled', password)).status).toBe(401)
      expect((await login(replica.url, 'deleted', password)).status).toBe(401)
      expect((await login(replica.url, 'changed', password)).status).toBe(401)
      expect((await login(replica.url, 'changed', next)).status).toBe(200)
      expect((await json(replica, demotedToken, 'GET', '/users')).status).toBe(403)
      await until(() => linesOf(replica, 'database.changes_lost').length > 0)
      const [line] = linesOf(replica, 'database.changes_lost')
      expect(line).toMatchObject({ level: 'error', former_timeline: 1, timeline: 2, is_behind: true })
      expect(line?.revoked_again).toBeGreaterThan(0)
      expect(line?.missing).toBe(replica === first() ? 1 : 0)
      expect(replica.output.stdout).not.toContain('process.stray_error')
    }
    const metrics = await (await fetch(metricsUrl)).text()
    expect(metrics).toContain('\naudittrail_database_timeline 2\n')
    expect(metrics).toContain('\naudittrail_database_failovers_total 1\n')
    expect(metrics).toMatch(/\naudittrail_database_changes_lost_total [1-9]/)
  })

  test('that has everything loses nothing, and is logged as a failover', async () => {
    const next = await standby.startStandby()
    const client = postgres(next.url, { max: 1, onnotice: () => {} })
    const promoted = postgres(standby.url, { max: 1, onnotice: () => {} })
    try {
      const [kept, ended] = [await signIn(first()), await signIn(first())]
      expect((await json(first(), ended, 'POST', '/auth/logout')).status).toBe(204)
      while ((await promoted`SELECT FROM pg_stat_replication WHERE replay_lsn >= pg_current_wal_lsn()`).length === 0)
        await Bun.sleep(10)
      await Bun.sleep(2000)
      await standby.halt('immediate')
      address.moveTo(next.port)
      await client`SELECT pg_promote()`
      for (const replica of replicas) {
        while ((await me(replica.url, kept)).status === 503) await Bun.sleep(20)
        expect((await me(replica.url, kept)).status).toBe(200)
        expect((await me(replica.url, ended)).status).toBe(401)
        expect(linesOf(replica, 'database.changes_lost')).toHaveLength(1)
        await until(() => linesOf(replica, 'database.failover').length > 0)
        const [line] = linesOf(replica, 'database.failover')
        expect(line).toMatchObject({ former_timeline: 2, timeline: 3, revoked_again: 0, missing: 0 })
      }
    } finally {
      await promoted.end({ timeout: 1 })
      await client.end({ timeout: 1 })
      for (const replica of replicas) await replica.stop()
      await next.stop()
    }
  })
})

function linesOf(server: Server, event: string): Record<string, unknown>[] {
  return server.output.stdout
    .split('\n')
    .filter((line) => line.includes(`"event":"${event}"`))
    .map((line) => JSON.parse(line))
}
