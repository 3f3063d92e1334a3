import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { chmodSync, chownSync, copyFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import postgres from 'postgres'
import { parseDatabaseUrl } from '../../../src/config/databaseUrl.ts'
import { openPool } from '../../../src/db/pool/pool.ts'
import type { AppError } from '../../../src/error.ts'
import { type Authority, makeAuthority } from '../../faults/certificates.ts'
import { nobody, type PostgresqlServer, startServer } from '../../postgresqlServer.ts'
import { hasProgram } from '../../requirements.ts'

/** Roles by what pg_hba.conf admits them with. */
const rules = [
  'local all all trust',
  'hostssl all tls 127.0.0.1/32 trust',
  'hostnossl all plain 127.0.0.1/32 trust',
  'host all by_scram,s1,s2,s3,s4,s5,s6 127.0.0.1/32 scram-sha-256',
  'host all by_md5 127.0.0.1/32 md5',
  'host all by_text 127.0.0.1/32 password',
  'host all postgres,either 127.0.0.1/32 trust',
]

/** The passwords of 31-saslprep.sql, and two that SASLprep rejects. */
const passwords = {
  s1: '\u00a0nbsp',
  s2: 'soft\u00adhyphen',
  s3: 'e\u0301-decomposed',
  s4: '\u2168-compat',
  s5: 'e\u0301 \u{1f600}',
  s6: '\u0627b e\u0301',
  by_md5: 'e\u0301-md5',
  by_text: 'e\u0301-text',
}

let server: PostgresqlServer
let own: postgres.Sql

beforeAll(async () => {
  server = await startServer()
  own = postgres(server.url, { max: 1, onnotice: () => {} })
  for (const role of ['tls', 'plain', 'either']) await own.unsafe(`CREATE ROLE ${role} LOGIN`)
  await own.unsafe(`CREATE ROLE by_scram LOGIN PASSWORD 'correct horse'`)
  for (const [role, password] of Object.entries(passwords)) {
    await own.unsafe(`SET password_encryption = '${/md5|text/.test(role) ? 'md5' : 'scram-sha-256'}'`)
    await own.unsafe(`CREATE ROLE ${role} LOGIN PASSWORD '${password}'`)
  }
  writeFileSync(join(server.data, 'pg_hba.conf'), `${rules.join('\n')}\n`)
  await own`SELECT pg_reload_conf()`
})

afterAll(async () => {
  await own?.end({ timeout: 1 })
  await server?.stop()
})

/** Returns whether the connection is encrypted, or the message of the error. */
async function connect(role: string, query = ''): Promise<boolean | string> {
  const address = parseDatabaseUrl(`postgresql://${role}@127.0.0.1:${server.port}/postgres${query}`)
  const pool = openPool({ kind: 'server', address, poolSize: 1 })
  try {
    const rows = await pool.run(({ client }) => client`SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()`)
    return rows[0]?.ssl === true
  } catch (error) {
    return (error as AppError).message
  } finally {
    await pool.close()
  }
}

describe('SCRAM', () => {
  test.each(Object.entries(passwords))('signs in %s, whose password is %j', async (role, password) => {
    expect(await connect(`${role}:${encodeURIComponent(password)}`)).toBe(false)
  })

  test('signs in with another form of the same password', async () => {
    expect(await connect(`s3:${encodeURIComponent('\u00e9-decomposed')}`)).toBe(false)
    expect(await connect(`s4:IX-compat`)).toBe(false)
  })

  test('rejects a wrong password', async () => {
    expect(await connect('s1:nbsp')).toContain('28P01')
  })
})

describe('sslmode on a server without TLS', () => {
  test.each(['?sslmode=prefer', '?sslmode=allow', '?sslmode=disable', ''])('connects with "%s"', async (query) => {
    expect(await connect('either', query)).toBe(false)
  })

  test.each(['?sslmode=prefer', '?sslmode=allow', ''])('reports the reason of pg_hba.conf with "%s"', async (query) => {
    expect(await connect('tls', query)).toContain('28000')
  })

  test('does not connect with require', async () => {
    expect(await connect('plain', '?sslmode=require')).toContain('does not support TLS')
  })
})

describe.skipIf(!hasProgram('openssl', 'openssl'))('sslmode on a server with TLS', () => {
  let trusted: Authority
  let other: Authority
  beforeAll(async () => {
    trusted = makeAuthority()
    other = makeAuthority()
    const { key, certificate } = trusted.issue('localhost')
    for (const [from, to] of [
      [key, 'server.key'],
      [certificate, 'server.crt'],
    ] as const) {
      const file = join(server.data, to)
      copyFileSync(from, file)
      if (process.getuid?.() === 0) chownSync(file, nobody, nobody)
      chmodSync(file, 0o600)
    }
    await own`ALTER SYSTEM SET ssl = on`
    await own`SELECT pg_reload_conf()`
    while ((await connect('either', '?sslmode=require')) !== true) await Bun.sleep(20)
  })

  test.each([
    ['?sslmode=disable', 'either', false],
    ['?sslmode=allow', 'either', false],
    ['?sslmode=allow', 'plain', false],
    ['?sslmode=allow', 'tls', true],
    ['', 'either', false],
    ['', 'tls', true],
    ['?sslmode=prefer', 'either', true],
    ['?sslmode=prefer', 'tls', true],
    ['?sslmode=prefer', 'plain', false],
    ['?sslmode=require', 'tls', true],
    ['?sslmode=no-verify', 'tls', true],
  ])('"%s" connects the role "%s" (encrypted: %p)', async (query, role, isEncrypted) => {
    expect(await connect(role, query)).toBe(isEncrypted)
  })

  test.each(['?sslmode=require', '?sslmode=verify-ca'])('"%s" never goes without TLS', async (query) => {
    expect(await connect('plain', `${query}&sslrootcert=${trusted.root}`)).toContain('28000')
  })

  test.each([
    ['?sslmode=prefer', 'either'],
    ['?sslmode=prefer', 'plain'],
    ['?sslmode=allow', 'tls'],
    ['', 'tls'],
    ['?sslmode=require', 'either'],
    ['?sslmode=verify-ca', 'either'],
  ])('"%s" with another root certificate ends with a certificate error for "%s"', async (query, role) => {
    const rooted = `${query === '' ? '?' : `${query}&`}sslrootcert=${other.root}`
    expect(await connect(role, rooted)).toContain('certificate of the database is not trusted')
  })

  test('the chain is verified in every mode with a root certificate', async () => {
    expect(await connect('either', `?sslmode=prefer&sslrootcert=${trusted.root}`)).toBe(true)
    expect(await connect('tls', `?sslrootcert=${trusted.root}`)).toBe(true)
  })

  test.each(['?sslmode=allow', '?sslmode=prefer', '?sslmode=require', ''])(
    'a wrong password is reported as such with "%s"',
    async (query) => {
      expect(await connect('by_scram:wrong', query)).toContain('28P01')
    },
  )
})
