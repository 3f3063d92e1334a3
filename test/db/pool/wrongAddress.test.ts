import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import postgres from 'postgres'
import { parseDatabaseUrl } from '../../../src/config/databaseUrl.ts'
import { openPool } from '../../../src/db/pool/pool.ts'
import type { AppError } from '../../../src/error.ts'
import { freePort, type PostgresqlServer, startServer } from '../../postgresqlServer.ts'

let server: PostgresqlServer
const stopping: (() => unknown)[] = []

const rules = [
  'local all all trust',
  'hostssl all encrypted 127.0.0.1/32 trust',
  'host all by_password 127.0.0.1/32 scram-sha-256',
  'host all postgres,plain 127.0.0.1/32 trust',
]

beforeAll(async () => {
  server = await startServer()
  writeFileSync(join(server.data, 'pg_hba.conf'), `${rules.join('\n')}\n`)
  const client = postgres(server.url, { max: 1, onnotice: () => {} })
  await client.unsafe(`SELECT pg_reload_conf(); CREATE ROLE plain LOGIN; CREATE ROLE encrypted LOGIN;
    CREATE ROLE by_password LOGIN PASSWORD 'correct horse'`)
  await client.unsafe('CREATE DATABASE closed')
  await client.unsafe('REVOKE CONNECT ON DATABASE closed FROM PUBLIC')
  await client.end()
})

afterAll(async () => {
  for (const stop of stopping) await stop()
  await server?.stop()
})

/** Starts a server of another protocol and returns its port. */
function greet(greeting: string, response = ''): number {
  const listener = Bun.listen({
    hostname: '127.0.0.1',
    port: 0,
    socket: {
      open: (socket) => void socket.write(greeting),
      data: (socket) => void socket.write(response),
    },
  })
  stopping.push(() => listener.stop(true))
  return listener.port
}

function serveHttp(): number {
  const listener = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: () => new Response('hello') })
  stopping.push(() => listener.stop(true))
  return listener.port ?? 0
}

async function failureAt(url: string): Promise<AppError> {
  const pool = openPool({ kind: 'server', address: parseDatabaseUrl(url), poolSize: 1 })
  try {
    return await pool.run(({ client }) => client`SELECT 1`.then(() => Promise.reject(new Error('connected'))))
  } catch (error) {
    return error as AppError
  } finally {
    await pool.close()
  }
}

describe('a wrong DATABASE_URL', () => {
  test.each([
    [
      'host',
      async () => 'postgresql://plain@nowhere.invalid/app',
      /cannot be reached \(E\w+\)\. Check the name of the host/,
    ],
    [
      'port',
      async () => `postgresql://plain@127.0.0.1:${await freePort()}/app`,
      /ECONNREFUSED\)\. Check the host and port/,
    ],
    ['socket directory', async () => 'postgresql://plain@/app?host=/nowhere', /ENOENT\)\. Check the socket directory/],
    [
      'password',
      async () => at('by_password:wrong', 'postgres'),
      /rejected the username or password in DATABASE_URL \(28P01\)/,
    ],
    ['missing password', async () => at('by_password', 'postgres'), /rejected the username or password .* \(28P01\)/],
    ['role', async () => at('unknown', 'postgres'), /\(28000\)\. Check that it exists and has LOGIN/],
    ['database', async () => at('plain', 'nowhere'), /does not exist \(3D000\)\. Create it/],
    ['database without CONNECT', async () => at('plain', 'closed'), /lacks the privilege CONNECT .* \(42501\)/],
    [
      'use of plain text',
      async () => at('encrypted', 'postgres', 'sslmode=disable'),
      /28000\).* use of TLS \(sslmode\)/,
    ],
    [
      'use of TLS',
      async () => at('plain', 'postgres', 'sslmode=require'),
      /does not support TLS, but .*sslmode=require/,
    ],
    ['startup option', async () => at('plain', 'postgres', 'options=-cnonsense%3D1'), /\(42704\)\. Correct "options"/],
  ])('with another %s fails with what to check', async (_what, url, message) => {
    const failure = await failureAt(await url())
    expect(failure.message).toMatch(message)
    expect(failure.message).toMatch(/ Database: postgresql:\/\/\w+@\S*\/\S+\.$/)
    expect(failure.message).not.toContain('wrong')
  })

  test.each([
    ['a web server', serveHttp],
    ['MySQL', () => greet('\x4a\x00\x00\x00\x0a8.0.36\x00abcdefgh')],
    ['SSH', () => greet('SSH-2.0-OpenSSH_9.6\r\n')],
  ])('with the port of %s fails at once, with and without TLS', async (_what, start) => {
    const port = start()
    for (const sslmode of ['disable', 'prefer', 'require']) {
      const failure = await failureAt(`postgresql://app@127.0.0.1:${port}/app?sslmode=${sslmode}`)
      expect(failure.message).toBe(
        `The server at the address in DATABASE_URL is not PostgreSQL. Check the host and port. Database: postgresql://app@127.0.0.1:${port}/app.`,
      )
    }
  })

  test('of a server that asks for a Kerberos ticket fails at once', async () => {
    const port = greet('', 'R\0\0\0\x08\0\0\0\x07')
    const failure = await failureAt(`postgresql://app@127.0.0.1:${port}/app?sslmode=disable`)
    expect(failure).toMatchObject({ code: 'refused', message: expect.stringContaining('Use scram-sha-256') })
  })

  test('whose password has a raw / is rejected without echoing it', () => {
    expect(() => parseDatabaseUrl('postgresql://nowhere.invalid:12/secret@db.example.com/app')).toThrow(
      /^(?!.*secret).*percent-encode/,
    )
  })

  function at(login: string, database: string, query = ''): string {
    return `postgresql://${login}@127.0.0.1:${server.port}/${database}?${query}`
  }
})
