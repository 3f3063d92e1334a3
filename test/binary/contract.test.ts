import { describe, expect, test } from 'bun:test'
import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createDatabase } from '../postgresql.ts'
import { accessToken, emptyDirectory, login, me, serve } from './binary.ts'
import { hasCurl, holdsTheContract } from './seedContract.ts'

const secretKey = { SECRET_KEY: 'k'.repeat(32) }
const lowCost = { PASSWORD_MEMORY_KIB: '8192', PASSWORD_TIME_COST: '1' }

describe.skipIf(!hasCurl)('the compiled binary', () => {
  test('fulfills the seed contract in an empty directory without an environment', async () => {
    const directory = emptyDirectory()
    // The only test of the default address and port, if port 8000 is free.
    const free = spawnSync('curl', ['-s', 'http://127.0.0.1:8000/']).status === 7
    const server = await serve(free ? { directory, environment: { HOST: '', PORT: '' } } : { directory })
    holdsTheContract(server)
    const token = await accessToken(server.url)
    expect((await server.stop()).code).toBe(0)
    expect(readdirSync(directory)).toEqual(['data'])
    expect(statSync(join(directory, 'data')).mode & 0o777).toBe(0o700)
    expect(statSync(join(directory, 'data/secret.key')).mode & 0o777).toBe(0o600)

    const again = await serve({ directory })
    holdsTheContract(again)
    expect((await me(again.url, token)).status).toBe(200)
    expect(again.output.stdout).not.toContain('administrator.seeded')
    await again.stop()
  })

  test('fulfills the seed contract on PostgreSQL', async () => {
    const directory = emptyDirectory()
    const environment = { DATABASE_URL: await createDatabase(), ...secretKey }
    const server = await serve({ directory, environment })
    holdsTheContract(server)
    await server.stop()
    expect(readdirSync(directory)).toEqual([])
  })

  test('fulfills the seed contract at the root when BASE_PATH is empty', async () => {
    const server = await serve({ environment: { DATABASE_URL: await createDatabase(), ...secretKey, BASE_PATH: '' } })
    expect(server.url).toBe(server.origin)
    holdsTheContract(server)
    await server.stop()
  })

  test('ignores a hostile bunfig.toml, .env and package.json in the working directory', async () => {
    const directory = emptyDirectory()
    writeFileSync(join(directory, 'bunfig.toml'), 'preload = ["./evil.ts"]\n[run]\npreload = ["./evil.ts"]\n')
    writeFileSync(join(directory, 'evil.ts'), 'console.log("EVIL"); process.exit(66)')
    writeFileSync(join(directory, '.env'), 'PORT=1\nADMIN_USERNAME=mallory\nSECRET_KEY=short\nLOG_LEVEL=silent\n')
    writeFileSync(join(directory, '.env.local'), 'BASE_PATH=/evil\n')
    writeFileSync(join(directory, 'package.json'), '{"type":"commonjs","main":"evil.ts"}')
    writeFileSync(join(directory, 'tsconfig.json'), '{"compilerOptions":{"paths":{"*":["./evil.ts"]}}}')
    mkdirSync(join(directory, 'node_modules/elysia'), { recursive: true })
    writeFileSync(join(directory, 'node_modules/elysia/index.js'), 'process.exit(66)')
    const server = await serve({ directory })
    holdsTheContract(server)
    expect((await server.stop()).stdout).not.toContain('EVIL')
  })

  test('seeds the administrator of the settings without quarantine', async () => {
    const environment = {
      DATABASE_URL: await createDatabase(),
      ...secretKey,
      ADMIN_USERNAME: 'Root.User',
      ADMIN_PASSWORD: 'a long enough pass phrase',
      ADMIN_FULL_NAME: 'Ruth Ot',
    }
    const server = await serve({ environment })
    const token = await accessToken(server.url, 'root.user', 'a long enough pass phrase')
    expect(await (await me(server.url, token)).json()).toMatchObject({ username: 'Root.User', full_name: 'Ruth Ot' })
    const claims = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())
    expect(claims).toMatchObject({ aud: 'audittrail', roles: ['admin'], sub: 'Root.User' })
    expect((await server.stop()).stdout).not.toContain('administrator.must_change_password')

    const later = await serve({ environment: { ...environment, ADMIN_PASSWORD: 'another pass phrase' } })
    expect((await login(later.url, 'root.user', 'another pass phrase')).status).toBe(401)
    expect((await later.stop()).stdout).toContain('"setting":"ADMIN_PASSWORD"')
  })

  test('does not seed again after the administrator was deleted', async () => {
    const environment = { DATABASE_URL: await createDatabase(), ...secretKey }
    await (await serve({ environment })).stop()
    const { default: postgres } = await import('postgres')
    const client = postgres(environment.DATABASE_URL, { max: 1 })
    await client`DELETE FROM users`
    const server = await serve({ environment })
    expect((await login(server.url)).status).toBe(401)
    await server.stop()
    expect(await client`SELECT FROM users`).toHaveLength(0)
    await client.end()
  })
})

describe('six replicas started at once on an empty PostgreSQL', () => {
  test('become ready and seed one administrator', async () => {
    for (let round = 0; round < 10; round++) {
      const environment = { DATABASE_URL: await createDatabase(), ...secretKey, ...lowCost }
      const servers = await Promise.all(Array.from({ length: 6 }, () => serve({ environment })))
      const seeded = servers.filter(({ output }) => output.stdout.includes('administrator.seeded'))
      expect(seeded).toHaveLength(1)
      const token = await accessToken(servers[0]?.url ?? '')
      const answers = await Promise.all(servers.map(({ url }) => me(url, token)))
      expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200, 200])
      await Promise.all(servers.map((server) => server.stop()))
    }
  })
})
