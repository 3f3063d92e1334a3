import { describe, expect, test } from 'bun:test'
import { realpathSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createDatabase } from '../postgresql.ts'
import { emptyDirectory, login, run, serve } from './binary.ts'

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
