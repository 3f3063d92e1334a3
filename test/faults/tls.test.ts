import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { chmodSync, chownSync, copyFileSync } from 'node:fs'
import { join } from 'node:path'
import postgres from 'postgres'
import { login, run, serve } from '../binary/binary.ts'
import { until } from '../condition.ts'
import { nobody, type PostgresqlServer, startServer } from '../postgresqlServer.ts'
import { hasProgram } from '../requirements.ts'
import { type Authority, makeAuthority } from './certificates.ts'

const environment = { SECRET_KEY: 'k'.repeat(32), PASSWORD_MEMORY_KIB: '8192', PASSWORD_TIME_COST: '1' }

describe.skipIf(!hasProgram('openssl', 'openssl'))('TLS to the database', () => {
  let database: PostgresqlServer
  let own: postgres.Sql
  let trusted: Authority
  let strange: Authority

  beforeAll(async () => {
    database = await startServer()
    own = postgres(database.url, { max: 1, onnotice: () => {} })
    trusted = makeAuthority()
    strange = makeAuthority()
  })

  afterAll(async () => {
    await own?.end({ timeout: 1 })
    await database?.stop()
  })

  /** Makes the server present the certificate from its next connection on. */
  async function show({ key, certificate }: { key: string; certificate: string }): Promise<void> {
    for (const [from, to] of [
      [key, 'server.key'],
      [certificate, 'server.crt'],
    ] as const) {
      const file = join(database.data, to)
      copyFileSync(from, file)
      if (process.getuid?.() === 0) chownSync(file, nobody, nobody)
      chmodSync(file, 0o600)
    }
    await own`ALTER SYSTEM SET ssl = on`
    await reload()
  }

  async function withoutTls(): Promise<void> {
    await own`ALTER SYSTEM SET ssl = off`
    await reload()
  }

  /** Resolves once new connections have the configuration. */
  async function reload(): Promise<void> {
    const loadedAt = async () => {
      const fresh = postgres(database.url, { max: 1, onnotice: () => {} })
      const [row] = await fresh`SELECT pg_conf_load_time()::text AS at`
      await fresh.end()
      return row?.at
    }
    const before = await loadedAt()
    await own`SELECT pg_reload_conf()`
    await until(async () => (await loadedAt()) !== before)
  }

  const urlWith = (sslmode: string, authority?: Authority, host = 'localhost') =>
    `postgresql://postgres@${host}:${database.port}/postgres?sslmode=${sslmode}${authority ? `&sslrootcert=${authority.root}` : ''}`
  const migrate = (url: string) => run(['migrate'], { environment: { ...environment, DATABASE_URL: url } })

  test('accepts a certificate that satisfies sslmode', async () => {
    await show(trusted.issue('localhost'))
    for (const url of [
      urlWith('verify-full', trusted),
      urlWith('verify-ca', trusted, '127.0.0.1'),
      urlWith('require', trusted, '127.0.0.1'),
      urlWith('require'),
      urlWith('prefer'),
    ])
      expect(await migrate(url)).toMatchObject({ code: 0, stderr: '' })
    // With `require` and above it is really encrypted.
    const server = await serve({ environment: { ...environment, DATABASE_URL: urlWith('verify-full', trusted) } })
    expect((await login(server.url)).status).toBe(200)
    const connections = await own`
      SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'audittrail'`
    expect(connections.length).toBeGreaterThan(0)
    expect(connections.every(({ ssl }) => ssl)).toBe(true)
    await server.stop()
  })

  test.each([
    ['of another host', 'verify-full', () => [trusted.issue('elsewhere.example'), trusted] as const],
    ['of an untrusted authority', 'verify-full', () => [strange.issue('localhost'), trusted] as const],
    ['of an untrusted authority', 'verify-ca', () => [strange.issue('localhost'), trusted] as const],
    ['of an untrusted authority', 'require', () => [strange.issue('localhost'), trusted] as const],
    ['that has expired', 'verify-full', () => [trusted.issue('localhost', 'expired'), trusted] as const],
    ['of an authority unknown to the system', 'verify-full', () => [trusted.issue('localhost'), undefined] as const],
  ])('ends the start with one line for a certificate %s (%s)', async (_what, sslmode, make) => {
    const [files, authority] = make()
    await show(files)
    const url = urlWith(sslmode, authority)
    const { code, stderr } = await run([], { environment: { ...environment, DATABASE_URL: url, PORT: '0' } })
    expect(code).toBe(1)
    expect(stderr).toStartWith('audittrail: The TLS certificate of the database is not trusted (')
    expect(stderr.trim().split('\n')).toHaveLength(1)
  })

  test('checks the name of the host it connects to, of several, and not the address in hostaddr', async () => {
    await show(trusted.issue('localhost'))
    const migrateOn = (hosts: string, query = '') =>
      migrate(`postgresql://postgres@${hosts}/postgres?sslmode=verify-full&sslrootcert=${trusted.root}${query}`)
    const { port } = database
    expect(await migrateOn(`127.0.0.1:${port},localhost:${port}`)).toMatchObject({ code: 0, stderr: '' })
    expect(await migrateOn(`localhost:${port}`, '&hostaddr=127.0.0.1')).toMatchObject({ code: 0, stderr: '' })
    for (const refused of [
      await migrateOn(`127.0.0.1:${port},[::ffff:127.0.0.1]:${port}`),
      await migrateOn(`elsewhere.example:${port}`, '&hostaddr=127.0.0.1'),
    ]) {
      expect(refused.code).toBe(1)
      expect(refused.stderr).toContain('ERR_TLS_CERT_ALTNAME_INVALID')
    }
  })

  test.each(['require', 'verify-ca', 'verify-full'])(
    'ends the start with one line if the server offers no TLS (%s)',
    async (sslmode) => {
      await withoutTls()
      const { code, stderr } = await migrate(urlWith(sslmode, trusted))
      expect(code).toBe(1)
      expect(stderr).toBe(
        `audittrail: The database does not support TLS, but DATABASE_URL has sslmode=${sslmode}. Enable it on the server (ssl = on), or change sslmode. Database: postgresql://postgres@localhost:${database.port}/postgres.\n`,
      )
      expect(await migrate(urlWith('prefer'))).toMatchObject({ code: 0 })
    },
  )

  test('a certificate that turns invalid at run time means 503 until it is valid again', async () => {
    await show(trusted.issue('localhost'))
    const server = await serve({ environment: { ...environment, DATABASE_URL: urlWith('verify-full', trusted) } })
    await show(strange.issue('localhost'))
    await own`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'audittrail'`
    expect((await login(server.url)).status).toBe(503)
    const line = 'The TLS certificate of the database is not trusted'
    await until(async () => {
      expect((await login(server.url)).status).toBe(503)
      return server.output.stdout.includes(line)
    })
    await show(trusted.issue('localhost'))
    await until(async () => (await login(server.url)).status === 200)
    expect((await server.stop()).code).toBe(0)
  })
})
