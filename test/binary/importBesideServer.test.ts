import { describe, expect, test } from 'bun:test'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import postgres from 'postgres'
import { until } from '../condition.ts'
import { password } from '../domain/hashes/formats.ts'
import { accessToken, binary, login, me, serve } from './binary.ts'
import { hash, type Installation, linesOf, newInstallation } from './installation.ts'

const size = 1500
const users = (name: string) =>
  linesOf(Array.from({ length: size }, (_, at) => ({ username: `${name}${at}`, hashed_password: hash })))

/** Starts an import that has staged its first users and waits for the rest of its input. */
async function startImport({ directory, environment }: Installation) {
  const child = spawn(binary, ['import', '-', '--skip-bad'], {
    cwd: directory,
    env: { PATH: process.env.PATH, ...environment },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  const output = { stdout: '', stderr: '' }
  child.stdout.on('data', (chunk) => {
    output.stdout += chunk
  })
  child.stderr.on('data', (chunk) => {
    output.stderr += chunk
  })
  child.stdin.write(`${users('first')}not json\n${users('second')}`)
  while (!output.stderr.includes('is not valid JSON')) await once(child.stderr, 'data')
  return {
    finish: async () => {
      const closed = once(child, 'close')
      child.stdin.end(users('third'))
      const [code] = await closed
      return { code, ...output }
    },
  }
}

describe.each(['1', '2'])(
  'an import that is open for longer than an operation may take, DATABASE_POOL_SIZE=%s',
  (poolSize) => {
    test('sign-ins and checks of sessions go on, within the bound of connections', async () => {
      const place = await newInstallation('PostgreSQL')
      const settings = { DATABASE_POOL_SIZE: poolSize, ADMIN_PASSWORD: password }
      const sized = { ...place, environment: { ...place.environment, ...settings } }
      const server = await serve(sized)
      const token = await accessToken(server.url, 'admin', password)
      const running = await startImport(sized)
      const own = postgres(String(place.environment.DATABASE_URL), { max: 1, onnotice: () => {} })
      let since: Date | undefined
      // Its last statement may still run.
      await until(async () => {
        const [open] = await own<{ readonly since: Date }[]>`
        SELECT xact_start AS since FROM pg_stat_activity
        WHERE datname = current_database() AND state LIKE 'idle in transaction%' AND application_name = 'audittrail'`
        since = open?.since
        return since !== undefined
      })
      const statuses = new Set<number>()
      let backends = 0
      for (let isOver = false; !isOver; ) {
        const responses = await Promise.all([
          ...Array.from({ length: 4 }, () => login(server.url, 'admin', password)),
          ...Array.from({ length: 8 }, () => me(server.url, token)),
        ])
        for (const { status } of responses) statuses.add(status)
        const [row] = await own`
        SELECT count(*)::integer AS backends, now() - ${since ?? null}::timestamptz > '5s' AS is_over FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'audittrail'`
        backends = Math.max(backends, row?.backends)
        isOver = row?.is_over
      }
      expect([...statuses]).toEqual([200])
      expect(backends).toBeLessThanOrEqual(2 * (Number(poolSize) + 2))
      const { code, stdout, stderr } = await running.finish()
      expect({ code, stderr }).toEqual({ code: 0, stderr: `line ${size + 1}: is not valid JSON\n` })
      expect(stdout).toContain(`Imported ${(3 * size).toLocaleString('en')} users.`)
      expect((await login(server.url, 'third0', password)).status).toBe(200)
      await own.end()
      await server.stop()
    }, 120_000)
  },
)
