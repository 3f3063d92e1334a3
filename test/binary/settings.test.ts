import { describe, expect, test } from 'bun:test'
import { realpathSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createDatabase } from '../postgresql.ts'
import { accessToken, emptyDirectory, login, me, run, serve } from './binary.ts'

const secretKey = { SECRET_KEY: 'k'.repeat(32) }

/** Writes an env file and returns the arguments that read it. */
function envFile(directory: string, contents: string): string[] {
  const file = join(directory, 'settings.env')
  writeFileSync(file, contents)
  return ['--env-file', file]
}

describe('a misspelled setting', () => {
  test('in --env-file ends the program with "did you mean" before it creates anything', async () => {
    const directory = emptyDirectory()
    const args = envFile(directory, 'DATABSE_URL=postgresql://app:hidden@db.example/auth\n')
    for (const command of [[], ['migrate'], ['user', 'list']]) {
      const { code, stdout, stderr } = await run([...command, ...args], { directory })
      expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
      expect(stderr).toBe('audittrail: --env-file, line 1: DATABSE_URL is not a setting. Did you mean DATABASE_URL?\n')
    }
    expect(await Array.fromAsync(new Bun.Glob('**/*').scan({ cwd: directory, onlyFiles: false }))).toEqual([
      'settings.env',
    ])
  })

  test('in the environment gets a warning, and the log says which database is in use instead', async () => {
    const server = await serve({ environment: { DATABSE_URL: 'postgresql://app:hidden@db.example/auth' } })
    const { stdout, stderr } = await server.stop()
    expect(stderr).toBe(
      'audittrail: warning: The environment variable DATABSE_URL is not a setting and has no effect. Did you mean DATABASE_URL?\n',
    )
    expect(stdout).toContain(`"database":"embedded in ${join(realpathSync(server.directory), 'data')}"`)
  })
})

test('the log and the banner name the database, without its password', async () => {
  const url = new URL(await createDatabase())
  const environment = { ...secretKey, DATABASE_URL: url.href }
  const label = `postgresql://${url.username}@${url.host}${url.pathname}`
  expect((await (await serve({ environment })).stop()).stdout).toContain(`"database":"${label}"`)
  const { stdout } = await (await serve({ environment: { ...environment, LOG_FORMAT: 'pretty' } })).stop()
  expect(stdout).toMatch(new RegExp(`Database +${RegExp.escape(label)}\n`))
})

test('an empty DATABASE_URL ends the program with exit code 2', async () => {
  const { code, stdout, stderr } = await run([], { environment: { DATABASE_URL: '' } })
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
  expect(stderr).toStartWith('audittrail: DATABASE_URL is set but empty.')
})

test('a number sign in a password of --env-file belongs to the password', async () => {
  const directory = emptyDirectory()
  const args = envFile(directory, 'ADMIN_PASSWORD=correct-horse#battery-staple-9\nPORT=0 # any\n')
  const server = await serve({ directory, args })
  expect((await login(server.url, 'admin', 'correct-horse#battery-staple-9')).status).toBe(200)
  expect((await login(server.url, 'admin', 'correct-horse')).status).toBe(401)
  await server.stop()
})

describe('ADMIN_PASSWORD', () => {
  const password = 'a long pass phrase 77'

  test.each(['\n', '\r\n', '\r', '\n\n'])('is the same with %j at its end, from wherever it comes', async (end) => {
    const directory = emptyDirectory()
    writeFileSync(join(directory, 'password'), password + end)
    const sources = [
      { environment: { ADMIN_PASSWORD: password + end }, args: [] },
      { environment: { ADMIN_PASSWORD_FILE: join(directory, 'password') }, args: [] },
      { environment: {}, args: envFile(directory, `ADMIN_PASSWORD="${password}${end}"\n`) },
    ]
    for (const source of sources) {
      const environment = { ...secretKey, ...source.environment, DATABASE_URL: await createDatabase() }
      const server = await serve({ ...source, environment, directory: emptyDirectory() })
      const token = await accessToken(server.url, 'admin', password)
      expect((await me(server.url, token)).status).toBe(200)
      expect((await server.stop()).stdout).not.toContain('must_change_password')
    }
  })

  test.each([
    ['short', 'short pass', 'must have at least 12 characters'],
    ['common', 'changeme', 'must have at least 12 characters'],
    ['the username', 'administrator', 'must not be the username'],
  ])('that the policy rejects (%s) is quarantined like the default password', async (_what, weak, rule) => {
    const environment = { ...secretKey, ADMIN_USERNAME: 'administrator', ADMIN_PASSWORD: weak }
    const installations: Record<string, string>[] = [
      environment,
      { ...environment, DATABASE_URL: await createDatabase() },
    ]
    for (const settings of installations) {
      const server = await serve({ environment: settings })
      const token = await accessToken(server.url, 'administrator', weak)
      expect((await me(server.url, token)).status).toBe(200)
      const headers = { authorization: `Bearer ${token}` }
      expect((await fetch(`${server.url}/users`, { headers })).status).toBe(403)
      const { stdout } = await server.stop()
      expect(stdout).toContain('"event":"setting.weak_password","setting":"ADMIN_PASSWORD"')
      expect(stdout).toContain(rule)
      if (weak !== 'administrator') expect(stdout).not.toContain(weak)
    }
  })
})
