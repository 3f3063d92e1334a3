import { describe, expect, test } from 'bun:test'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { login, run, serve } from '../binary/binary.ts'
import { newInstallation } from '../binary/installation.ts'
import { hasProgram } from '../requirements.ts'

// Exports written by the programs themselves, from the Debian packages for Debian's Python.
const python = '/usr/bin/python3'
const packages = '/usr/lib/python3/dist-packages'

const hasLibraries = (...names: readonly (readonly [string, string])[]) =>
  names.map(([name, debian]) => hasProgram(`${packages}/${name}`, debian)).every(Boolean)
const hasHashers = hasLibraries(['argon2', 'python3-argon2'], ['bcrypt', 'python3-bcrypt'])
const hasDjango = hasLibraries(['django', 'python3-django'])
const hasPasslib = hasLibraries(['passlib', 'python3-passlib'], ['werkzeug', 'python3-werkzeug'])

/** Returns what a script prints; throws what it prints to stderr if it fails. */
function output(program: string, args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(program, args, {
    env: { PYTHONDONTWRITEBYTECODE: '1' },
    encoding: 'utf8',
    timeout: 60_000,
  })
  if (status !== 0) throw new Error(stderr)
  return stdout
}

/** Imports into a new database, and returns the status of each user's sign-in. */
async function signIn(
  args: readonly string[],
  input: string,
  users: Readonly<Record<string, string>>,
): Promise<{ stdout: string; statuses: Record<string, number> }> {
  const installation = await newInstallation('PostgreSQL')
  const server = await serve(installation)
  const { code, stdout, stderr } = await run(['import', '-', ...args], { ...installation, input })
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  const statuses: Record<string, number> = {}
  for (const [name, password] of Object.entries(users)) {
    expect((await login(server.url, name, `not ${password}`)).status).toBe(401)
    statuses[name] = (await login(server.url, name, password)).status
  }
  await server.stop()
  return { stdout, statuses }
}

function each<T>(value: T, names: readonly string[]): Record<string, T> {
  return Object.fromEntries(names.map((name) => [name, value]))
}

describe.skipIf(!hasDjango || !hasHashers)('Django users', () => {
  const names = ['pbkdf2_sha256', 'pbkdf2_sha1', 'argon2', 'bcrypt_sha256', 'bcrypt']

  test.each(['json', 'jsonl'])('sign in with their old passwords after dumpdata --format %s', async (format) => {
    const dumped = output(python, [join(import.meta.dir, 'django_users.py'), format])
    const users = Object.fromEntries([...names, 'gone'].map((name) => [name, `old pass phrase of ${name}`]))
    const flags = format === 'json' ? [] : ['--format', 'ndjson']
    const { stdout, statuses } = await signIn(['--from', 'django', ...flags], dumped, users)
    expect(stdout).toContain('Imported 7 users.\n')
    expect(stdout).toContain('Users without a password: 1.')
    // A disabled user stays disabled.
    expect(statuses).toEqual({ ...each(200, names), gone: 401 })
  })
})

describe.skipIf(!hasPasslib || !hasHashers)('passlib and Werkzeug users', () => {
  test('sign in with their old passwords', async () => {
    const lines = output(python, [join(import.meta.dir, 'python_hashes.py')])
    const names = lines
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).username as string)
    expect(names).toHaveLength(10)
    const { statuses } = await signIn([], lines, each('old pass phrase', names))
    expect(statuses).toEqual(each(200, names))
  })
})

describe.skipIf(!hasProgram('php', 'php-cli'))('PHP users (Laravel, Symfony)', () => {
  test('sign in with their old passwords', async () => {
    const script = `
      foreach (["bcrypt" => PASSWORD_BCRYPT, "argon2i" => PASSWORD_ARGON2I, "argon2id" => PASSWORD_ARGON2ID] as $name => $kind)
        echo json_encode(["username" => $name, "hashed_password" => password_hash("old pass phrase", $kind)]), "\\n";`
    const lines = output('php', ['-r', script])
    const names = ['bcrypt', 'argon2i', 'argon2id']
    const { statuses } = await signIn([], lines, each('old pass phrase', names))
    expect(statuses).toEqual(each(200, names))
  })
})
