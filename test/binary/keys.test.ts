import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { until } from '../condition.ts'
import { headerOf } from '../replica.ts'
import { accessToken, me, run, type Server, serve } from './binary.ts'
import { createInstallation, databases, type Installation, listKeys, newKey, oldKey, publishedKids } from './keys.ts'

describe.each(databases)('key commands on %s', (kind) => {
  describe.each(['with the server down', 'with the server up'] as const)('%s', (state) => {
    let installation: Installation
    let server: Server | undefined
    beforeAll(async () => {
      installation = await createInstallation(kind, { SECRET_KEY: oldKey, ALGORITHM: 'EdDSA' })
      server = await serve(installation)
      if (state === 'with the server down') {
        await server.stop()
        server = undefined
      }
    })
    afterAll(() => server?.stop())

    test('list, rotate and reset the keys', async () => {
      const [first, ...others] = await listKeys(installation)
      expect({ first, others }).toMatchObject({ first: { state: 'signing', algorithm: 'EdDSA' }, others: [] })
      const rotated = await run(['key', 'rotate'], installation)
      expect(rotated.stdout).toMatch(/^Key \S{43} \(EdDSA\) is published and signs from 20\S+Z\.\n$/)
      const again = await run(['key', 'rotate'], installation)
      expect({ code: again.code, stdout: again.stdout }).toEqual({ code: 1, stdout: '' })
      expect(again.stderr).toMatch(/^audittrail: A rotation is already in progress: .*\n$/)
      expect((await listKeys(installation)).map(({ state }) => state)).toEqual(['published', 'signing'])
      expect((await run(['key', 'list'], installation)).stdout).toMatch(
        /^KEY +ALGORITHM +STATE +CREATED +SIGNS FROM +VERIFIES UNTIL\n/,
      )

      const running = server ?? (await serve(installation))
      if (server) await until(async () => (await publishedKids(running)).length === 2)
      const token = await accessToken(running.url)
      expect(headerOf(token).kid).toBe(first?.kid as string)
      if (!server) await running.stop()

      const reset = await run(['key', 'reset'], installation)
      expect({ ...reset, stdout: '' }).toMatchObject({ code: 0, stderr: '', stdout: '' })
      expect(reset.stdout).toBe('All keys replaced. Sessions ended: 1.\n')
      expect((await listKeys(installation)).map(({ state }) => state)).toEqual(['signing'])
      const after = server ?? (await serve(installation))
      expect((await me(after.url, token)).status).toBe(401)
      await until(async () => (await me(after.url, await accessToken(after.url))).status === 200)
      if (!server) await after.stop()
    })
  })

  test('explain how to change SECRET_KEY when the algorithm is HS256', async () => {
    const installation = await createInstallation(kind, { SECRET_KEY: oldKey })
    await (await serve(installation)).stop()
    expect((await run(['key', 'list'], installation)).stdout).toMatch(/\nSECRET_KEY [0-9a-f]{12} +HS256 +signing /)
    const { code, stderr } = await run(['key', 'rotate'], installation)
    expect(code).toBe(1)
    expect(stderr).toContain('SECRET_KEY_PREVIOUS')
  })

  test('reject another SECRET_KEY until the previous one is configured or the keys are reset', async () => {
    const installation = await createInstallation(kind, { SECRET_KEY: oldKey, ALGORITHM: 'ES256' })
    const first = await serve(installation)
    const token = await accessToken(first.url)
    const body = new URLSearchParams({ username: 'admin', password: 'changeme' })
    await fetch(`${first.url}/auth/login`, { method: 'POST', body })
    await first.stop()

    const replaced = {
      ...installation,
      environment: { ...installation.environment, SECRET_KEY: newKey, HOST: '127.0.0.1', PORT: '0' },
    }
    const rejected = await run([], replaced)
    expect(rejected.code).toBe(1)
    expect(rejected.stderr).toMatch(/^audittrail: [^\n]*SECRET_KEY_PREVIOUS[^\n]*audittrail key reset[^\n]*\n$/)
    expect((await run(['key', 'rotate'], replaced)).stderr).toContain('SECRET_KEY_PREVIOUS')
    expect((await run(['user', 'list'], replaced)).code).toBe(0)

    const changed = {
      ...replaced,
      environment: { ...replaced.environment, SECRET_KEY_PREVIOUS: `${'x'.repeat(32)},${oldKey}` },
    }
    const second = await serve(changed)
    expect((await me(second.url, token)).status).toBe(200)
    expect((await second.stop()).stdout).toContain('"event":"secret_key.changed","reencrypted":1')
    const third = await serve(replaced)
    expect((await me(third.url, token)).status).toBe(200)
    await third.stop()

    expect((await run(['key', 'reset'], installation)).stdout).toMatch(/^All keys replaced\. Sessions ended: [12]\.\n$/)
    const last = await serve(installation)
    expect((await me(last.url, token)).status).toBe(401)
    expect((await me(last.url, await accessToken(last.url))).status).toBe(200)
    await last.stop()
  })
})

describe('the secret key in DATA_DIR', () => {
  test('stops the server when it is lost, and is replaced by a reset', async () => {
    const installation = await createInstallation('the embedded database', {})
    await (await serve(installation)).stop()
    const file = join(installation.directory, 'data/secret.key')
    const before = readFileSync(file, 'utf8')
    rmSync(file)
    const rejected = await run([], {
      ...installation,
      environment: { ...installation.environment, HOST: '127.0.0.1', PORT: '0' },
    })
    expect({ code: rejected.code, line: rejected.stderr.includes('audittrail key reset') }).toEqual({
      code: 1,
      line: true,
    })
    expect((await run(['key', 'reset'], installation)).code).toBe(0)
    expect(readFileSync(file, 'utf8')).not.toBe(before)
    const server = await serve(installation)
    expect((await me(server.url, await accessToken(server.url))).status).toBe(200)
    await server.stop()
  })

  test('is not created by a command for a PostgreSQL database', async () => {
    const installation = await createInstallation('PostgreSQL', { SECRET_KEY: oldKey, ALGORITHM: 'EdDSA' })
    await (await serve(installation)).stop()
    const { SECRET_KEY: _, ...environment } = installation.environment
    for (const command of ['rotate', 'reset']) {
      const { code, stderr } = await run(['key', command], { ...installation, environment })
      expect({ code, stderr }).toEqual({
        code: 1,
        stderr: 'audittrail: SECRET_KEY is not set. This command needs the SECRET_KEY of the server.\n',
      })
    }
  })
})
