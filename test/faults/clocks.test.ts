import { describe, expect, test } from 'bun:test'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { emptyDirectory, login, me, run, type Server, serve } from '../binary/binary.ts'
import { createDatabase } from '../postgresql.ts'
import { hasProgram } from '../requirements.ts'

const library = `/usr/lib/${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu/faketime/libfaketime.so.1`
const password = 'a long enough pass phrase'
const cheap = { PASSWORD_MEMORY_KIB: '8192', PASSWORD_TIME_COST: '1' }

/** Settings of a process whose clock differs, such as `+60s`. Its timers run as usual. */
const withClock = (difference: string) => ({
  LD_PRELOAD: library,
  FAKETIME: difference,
  FAKETIME_DONT_FAKE_MONOTONIC: '1',
})

interface Tokens {
  readonly access_token?: string
  readonly refresh_token?: string
}

async function post({ url }: Server, path: string, fields: Record<string, string>) {
  const response = await fetch(`${url}${path}`, { method: 'POST', body: new URLSearchParams(fields) })
  return {
    status: response.status,
    retryAfter: Number(response.headers.get('retry-after')),
    ...((await response.json()) as Tokens),
  }
}

const signIn = (server: Server, username = 'admin') =>
  post(server, '/auth/login', { username, password, scope: 'offline_access' })
const refresh = (server: Server, token = '') => post(server, '/auth/refresh', { refresh_token: token })

/** Fails to sign in until there is a lockout. Returns its length in seconds. */
async function waitAfterFailures({ url }: Server): Promise<number> {
  for (let attempt = 0; attempt < 12; attempt++) {
    const response = await login(url, 'admin', 'wrong')
    if (response.status === 429) return Number(response.headers.get('retry-after'))
  }
  throw new Error('no lockout after 12 failures')
}

describe.skipIf(!hasProgram(library, 'faketime'))('a replica whose clock is wrong', () => {
  test.each(['+20s', '+60s', '+10m', '-10m'])(
    '%s: agrees with the others about lockouts, sessions and retries',
    async (difference) => {
      const environment = {
        DATABASE_URL: await createDatabase(),
        SECRET_KEY: 'k'.repeat(32),
        ADMIN_PASSWORD: password,
        ...cheap,
      }
      const right = await serve({ environment })
      const wrong = await serve({ environment: { ...environment, ...withClock(difference) } })
      const clockOf = async ({ origin }: Server) =>
        Date.parse((await fetch(`${origin}/api/health`)).headers.get('date') ?? '')
      expect(Math.abs((await clockOf(wrong)) - (await clockOf(right)))).toBeGreaterThan(15_000)

      // One failure costs no wait, on either replica.
      for (const [failing, next] of [
        [wrong, right],
        [right, wrong],
      ] as const) {
        expect((await login(failing.url, 'admin', 'wrong')).status).toBe(401)
        expect((await login(failing.url, 'nobody', 'wrong')).status).toBe(401)
        expect((await login(next.url, 'admin', password)).status).toBe(200)
      }
      // Six cost a second, not the difference of the clocks.
      const waits = [await waitAfterFailures(wrong), await waitAfterFailures(right)]
      for (const wait of waits) expect(wait).toBeLessThanOrEqual(4)

      const added = await run(['user', 'add', 'grace'], { environment, input: password })
      expect(added).toMatchObject({ code: 0 })
      for (const [one, other] of [
        [wrong, right],
        [right, wrong],
      ] as const) {
        const { refresh_token: parent } = await signIn(one, 'grace')
        const rotated = await refresh(one, parent)
        expect(rotated.status).toBe(200)
        // The response was lost: the client retries on the other replica.
        expect(await refresh(other, parent)).toMatchObject({ status: 200, refresh_token: rotated.refresh_token })
        expect((await refresh(other, rotated.refresh_token)).status).toBe(200)
      }
      await Promise.all([right.stop(), wrong.stop()])
      expect(wrong.output.stdout).toContain('"clock.differs"')
      expect(right.output.stdout).not.toContain('"clock.differs"')
      for (const server of [right, wrong]) expect(server.output.stdout).not.toContain('refresh.replayed')
    },
  )

  test.each(['+10m', '-10m'])('%s: issues tokens that it accepts, however short they last', async (difference) => {
    const server = await serve({
      environment: {
        DATABASE_URL: await createDatabase(),
        SECRET_KEY: 'k'.repeat(32),
        ADMIN_PASSWORD: password,
        ACCESS_TOKEN_EXPIRE_MINUTES: '1',
        ...cheap,
        ...withClock(difference),
      },
    })
    const { access_token: token = '', refresh_token: parent } = await signIn(server)
    const { access_token: refreshed = '' } = await refresh(server, parent)
    for (const issued of [token, refreshed]) {
      expect((await me(server.url, issued)).status).toBe(200)
      const { iat, exp } = JSON.parse(Buffer.from(issued.split('.')[1] ?? '', 'base64url').toString())
      expect(Math.abs(exp - iat - 60)).toBeLessThanOrEqual(1)
    }
    await server.stop()
  })

  test('set back by ten minutes, causes no lockout and takes no retry for a replay', async () => {
    for (const database of [{ DATABASE_URL: await createDatabase() }, {}]) {
      const directory = emptyDirectory()
      const file = join(directory, 'clock')
      writeFileSync(file, '+10m')
      const faked = {
        LD_PRELOAD: library,
        FAKETIME_TIMESTAMP_FILE: file,
        FAKETIME_NO_CACHE: '1',
        FAKETIME_DONT_FAKE_MONOTONIC: '1',
      }
      const server = await serve({
        directory,
        environment: { SECRET_KEY: 'k'.repeat(32), ADMIN_PASSWORD: password, ...cheap, ...database, ...faked },
      })
      expect((await login(server.url, 'admin', 'wrong')).status).toBe(401)
      const { refresh_token: parent } = await signIn(server)
      const rotated = await refresh(server, parent)
      writeFileSync(file, '+0m')
      expect((await signIn(server)).status).toBe(200)
      expect(await refresh(server, parent)).toMatchObject({ status: 200, refresh_token: rotated.refresh_token })
      expect((await refresh(server, rotated.refresh_token)).status).toBe(200)
      await server.stop()
    }
  })
})
