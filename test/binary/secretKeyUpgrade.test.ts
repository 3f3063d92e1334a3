import { describe, expect, test } from 'bun:test'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import postgres from 'postgres'
import { fingerprintOf } from '../../src/secretKeys.ts'
import { createDatabase } from '../postgresql.ts'
import { accessToken, emptyDirectory, login, me, run, serve } from './binary.ts'

const lowCost = { PASSWORD_MEMORY_KIB: '8192', PASSWORD_TIME_COST: '1' }
const key = '0123456789abcdef0123456789abcdef'

async function tokens(url: string) {
  const body = new URLSearchParams({ username: 'admin', password: 'a long pass phrase', scope: 'offline_access' })
  const response = await fetch(`${url}/auth/login`, { method: 'POST', body })
  return (await response.json()) as { access_token: string; refresh_token: string }
}

async function refresh(url: string, token: string): Promise<number> {
  const body = new URLSearchParams({ grant_type: 'refresh_token', refresh_token: token })
  return (await fetch(`${url}/auth/refresh`, { method: 'POST', body })).status
}

describe('an upgrade that reads SECRET_KEY differently', () => {
  const environmentOf = async () => ({
    ...lowCost,
    DATABASE_URL: await createDatabase(),
    ADMIN_PASSWORD: 'a long pass phrase',
  })

  test.each(['HS256', 'EdDSA'])('keeps sessions and says so, until the key is changed (%s)', async (algorithm) => {
    const directory = emptyDirectory()
    const environment = { ...(await environmentOf()), ALGORITHM: algorithm }
    // What an earlier version read from the file below.
    const earlier = await serve({ directory, environment: { ...environment, SECRET_KEY: key } })
    const old = await tokens(earlier.url)
    writeFileSync(join(directory, 'settings.env'), `SECRET_KEY=${key}#0123456789abcdef\n`)
    const args = ['--env-file', 'settings.env']
    const upgraded = await serve({ directory, environment, args })
    expect((await me(upgraded.url, old.access_token)).status).toBe(200)
    expect((await me(earlier.url, await accessToken(upgraded.url, 'admin', 'a long pass phrase'))).status).toBe(200)
    expect((await run([...args, 'key', 'list'], { directory, environment })).code).toBe(0)
    await earlier.stop()
    expect((await upgraded.stop()).stdout).toContain('secret_key.former_reading')

    const changed = { ...environment, SECRET_KEY: 'n'.repeat(32), SECRET_KEY_PREVIOUS: key }
    const after = await serve({ directory, environment: changed })
    expect(await refresh(after.url, old.refresh_token)).toBe(200)
    expect((await after.stop()).stdout).not.toContain('secret_key.former_reading')
  })

  test.each(['a variable', 'a file'])('finds the key with the line break that %s has', async (source) => {
    const directory = emptyDirectory()
    const environment = await environmentOf()
    await run(['seed'], { directory, environment: { ...environment, SECRET_KEY: key } })
    const sql = postgres(environment.DATABASE_URL, { max: 1 })
    await sql`UPDATE audittrail_instance SET secret_key_fingerprint = ${fingerprintOf(`${key}\n`)}`
    await sql.end()
    writeFileSync(join(directory, 'key'), `${key}\n`)
    const settings: Record<string, string> =
      source === 'a file' ? { SECRET_KEY_FILE: 'key' } : { SECRET_KEY: `${key}\n` }
    const server = await serve({ directory, environment: { ...environment, ...settings } })
    const { access_token: token } = await tokens(server.url)
    const [head, body, mac] = token.split('.')
    expect(new Bun.CryptoHasher('sha256', `${key}\n`).update(`${head}.${body}`).digest('base64url')).toBe(mac ?? '')
    expect((await server.stop()).stdout).toContain('secret_key.former_reading')
  })

  test('gives one key to a variable and a file that end in a line break, on a new database', async () => {
    const directory = emptyDirectory()
    const environment = await environmentOf()
    writeFileSync(join(directory, 'key'), `${key}\n`)
    const first = await serve({ directory, environment: { ...environment, SECRET_KEY: `${key}\n` } })
    const second = await serve({ directory, environment: { ...environment, SECRET_KEY_FILE: 'key' } })
    const token = await accessToken(first.url, 'admin', 'a long pass phrase')
    expect((await me(second.url, token)).status).toBe(200)
    await second.stop()
    expect((await first.stop()).stdout).not.toContain('secret_key.former_reading')
  })

  test('serves 503 while the database is unreachable', async () => {
    const environment = { ...lowCost, DATABASE_URL: 'postgresql://127.0.0.1:1/x', SECRET_KEY: `${key}\n` }
    const { start } = await import('./binary.ts')
    const running = start({ environment: { ...environment, HOST: '127.0.0.1', PORT: '0' } })
    let url: string | undefined
    while (url === undefined) {
      url = /"url":"([^"]+)"/.exec(running.output.stdout)?.[1]
      await Bun.sleep(20)
    }
    expect((await fetch(`${url}/health`)).status).toBe(200)
    expect((await login(url)).status).toBe(503)
    expect((await me(url, 'a.b.c')).status).toBeOneOf([401, 503])
    running.process.kill('SIGTERM')
    expect((await running.finished).code).toBe(0)
  })
})
