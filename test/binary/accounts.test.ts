import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { createDatabase } from '../postgresql.ts'
import { accessToken, binary, emptyDirectory, login, me, run, type Server, serve } from './binary.ts'
import { type Installation, newInstallation } from './installation.ts'

const passphrase = 'a long enough pass phrase'
const lowCost = { PASSWORD_MEMORY_KIB: '8192', PASSWORD_TIME_COST: '1' }

const databases = ['PostgreSQL', 'the embedded database'] as const
const states = ['with the server down', 'with the server up'] as const

describe.each(databases)('the command line on %s', (kind) => {
  describe.each(states)('%s', (state) => {
    let installation: Installation
    let server: Server | undefined
    beforeAll(async () => {
      const database: Record<string, string> = kind === 'PostgreSQL' ? { DATABASE_URL: await createDatabase() } : {}
      installation = {
        directory: emptyDirectory(),
        environment: { ...database, ...lowCost, SECRET_KEY: 'k'.repeat(32) },
      }
      server = await serve(installation)
      if (state === 'with the server down') {
        await server.stop()
        server = undefined
      }
    })
    afterAll(() => server?.stop())

    const command = (args: string, input = '') => run(args.split(' '), { ...installation, input })
    const ok = async (args: string, input = '') => {
      const { code, stdout, stderr } = await command(args, input)
      expect({ args, code, stderr }).toEqual({ args, code: 0, stderr: '' })
      return stdout
    }
    /** Returns the status of a sign-in at the running server, or at one started for it. */
    const signIn = async (username: string, password: string): Promise<number> => {
      const running = server ?? (await serve(installation))
      const { status } = await login(running.url, username, password)
      if (!server) await running.stop()
      return status
    }

    test('adds, shows, lists, changes and removes users', async () => {
      expect(
        await ok('user add ada --full-name Ada --role billing --role support', `${passphrase}\nsecond line\n`),
      ).toBe('User ada created.\n')
      const user = JSON.parse(await ok('user show ADA --json'))
      expect(user).toMatchObject({
        username: 'ada',
        full_name: 'Ada',
        roles: ['billing', 'support'],
        must_change_password: false,
      })
      expect(user).not.toHaveProperty('hashed_password')
      expect(await ok('user list --search ada')).toMatch(
        /^NAME +FULL NAME +STATE +ROLES +LAST SIGN-IN \(UTC\)\nada +Ada +active +billing,support +never\n$/,
      )
      expect(await signIn('ada', passphrase)).toBe(200)
      expect(await ok('user list --search ada')).toMatch(/billing,support +\d{4}-\d\d-\d\d \d\d:\d\d\n$/)
      // A record appears in the log a second later.
      let history = ''
      while (!history.includes('signed in')) history = await ok('user show ada')
      expect(history.split('\nRecent events (UTC):\n')[1]).toMatch(
        /^\S+ \S+ {2}signed in from (127\.0\.0\.1|::1)\n\S+ \S+ {2}user created with the roles billing, support by the command line\n$/,
      )
      const { recent_events } = JSON.parse(await ok('user show ada --json'))
      expect(recent_events.map(({ type }: { type: string }) => type)).toContain('user.created')
      expect(await ok('user disable ada')).toBe('User ada: disabled, roles billing, support.\n')
      expect(await signIn('ada', passphrase)).toBe(401)
      expect(await ok('user set ada --active --no-roles --full-name=Countess')).toBe('User ada: active, no roles.\n')
      expect(await ok('user password ada', 'another long pass phrase\n')).toBe('Password set for ada.\n')
      expect(await signIn('ada', 'another long pass phrase')).toBe(200)
      expect(await ok('user remove ada')).toBe('User ada removed.\n')
      expect((await command('user show ada')).stderr).toBe('audittrail: There is no user "ada".\n')
    })

    test('prints a one-time password when the password is empty', async () => {
      const created = await ok('user add temp')
      const password = /shown only once\): (\S+)\n/.exec(created)?.[1] ?? ''
      expect(await signIn('temp', password)).toBe(200)
      expect(JSON.parse(await ok('user show temp --json'))).toMatchObject({
        must_change_password: true,
        full_name: 'temp',
      })
      expect(await ok('user password temp')).toMatch(/One-time password \(shown only once\): \S+\n$/)
    })

    test.each([
      ['user add admin', passphrase, 'This username is taken.'],
      ['user add short', 'short', 'The new password must have at least 12 characters (got 5).'],
      ['user add bad/name', passphrase, 'The field username must be 1 to 50'],
      ['user add x --role Admin', passphrase, 'The field roles must have at most 32 entries'],
      ['user disable admin', '', 'This is the last active administrator'],
      ['user remove admin', '', 'This is the last active administrator'],
      ['user add tab', 'a long\tpass phrase', 'must not contain line breaks, tabs or other control characters'],
      ['user add nul', `${passphrase}\0`, 'not UTF-8 text'],
      ['session revoke 00000000-0000-4000-8000-000000000000', '', 'There is no such active session.'],
    ])('rejects %s in one line with exit code 1', async (args, input, line) => {
      const { code, stdout, stderr } = await command(args, input)
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
      expect(stderr).toContain(line)
      expect(stderr.trim().split('\n')).toHaveLength(1)
    })

    test('lists and ends sessions', async () => {
      await ok('user add grace', passphrase)
      const running = server ?? (await serve(installation))
      const [first, second] = [
        await accessToken(running.url, 'grace', passphrase),
        await accessToken(running.url, 'grace', passphrase),
      ]
      if (!server) await running.stop()
      const sessions = JSON.parse(await ok('session list grace --json')) as { id: string; address: string }[]
      expect(sessions.map(({ address }) => address)).toEqual(['127.0.0.1', '127.0.0.1'])
      const lines = (await ok('session list grace')).trimEnd().split('\n')
      expect(lines[0]).toMatch(/^ID +LAST USED \(UTC\) +EXPIRES \(UTC\)$/)
      expect(lines[1]).toMatch(/^[0-9a-f-]{36}( {2}\d{4}-\d\d-\d\d \d\d:\d\d){2}$/)
      expect(lines[2]).toMatch(/^ {2}127\.0\.0\.1 {2}Bun\/.* {2}token$/)
      expect(await ok(`session revoke ${sessions[0]?.id}`)).toBe('Session ended.\n')
      expect(await ok('session revoke grace')).toBe('Sessions ended: 1.\n')
      const restarted = server ?? (await serve(installation))
      expect([(await me(restarted.url, first)).status, (await me(restarted.url, second)).status]).toEqual([401, 401])
      if (!server) await restarted.stop()
    })

    test('rejects wrong usage with exit code 2', async () => {
      for (const [args, line] of [
        ['user', 'Incomplete command "user": use "user add", "user list"'],
        ['user add', 'Missing argument NAME for "user add".'],
        ['user add a b', 'Unexpected argument "b" for "user add".'],
        ['user add a --role', 'Missing value ROLE after --role'],
        ['user list --json=yes', 'Unexpected value after --json'],
        ['user list --search a --search b', 'Repeated flag --search'],
        ['user fly', 'Unknown command "user fly": use "user add"'],
        ['user set admin', 'Nothing to change'],
        ['user set admin --active --inactive', 'cannot be used together'],
      ] as const) {
        const { code, stderr } = await command(args)
        expect({ args, code }).toEqual({ args, code: 2 })
        expect(stderr).toContain(line)
      }
    })
  })
})

describe('a command', () => {
  test('in the wrong directory creates no database, and names DATA_DIR', async () => {
    const directory = emptyDirectory()
    const { code, stderr } = await run(['user', 'list'], { directory })
    expect(code).toBe(1)
    expect(stderr).toStartWith('audittrail: There is no database in DATA_DIR "./data". Start the server there once')
    expect(readdirSync(directory)).toEqual([])
  })

  test.skipIf(process.getuid?.() !== 0)('leaves no files in a DATA_DIR of another user', async () => {
    const directory = emptyDirectory()
    await (await serve({ directory })).stop()
    spawnSync('chown', ['-R', '65534', directory])
    const { code, stderr } = await run(['user', 'list'], { directory })
    expect(code).toBe(1)
    expect(stderr).toContain('belongs to the user with ID 65534, but this process runs as 0')
  })

  test('waits only for the first line of standard input', async () => {
    const { directory, environment } = await newInstallation('PostgreSQL')
    await (await serve({ directory, environment })).stop()
    const child = spawn(binary, ['user', 'add', 'slow'], {
      cwd: directory,
      env: { PATH: process.env.PATH, ...environment },
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    child.stdin.write(`${passphrase}\n`)
    const [code] = await once(child, 'exit')
    expect(code).toBe(0)
  })
})

describe('a lost administrator', () => {
  test('can be restored while the server is down', async () => {
    const installation = await newInstallation('PostgreSQL')
    await (await serve(installation)).stop()
    await run(['user', 'add', 'other', '--role', 'admin'], { ...installation, input: passphrase })
    await run(['user', 'set', 'admin', '--no-roles', '--inactive'], installation)
    expect((await run(['user', 'set', 'admin', '--role', 'admin', '--active'], installation)).stdout).toBe(
      'User admin: active, roles admin.\n',
    )
    expect((await run(['user', 'password', 'admin'], { ...installation, input: `${passphrase}\n` })).code).toBe(0)
    const server = await serve(installation)
    expect((await login(server.url, 'admin', passphrase)).status).toBe(200)
    await server.stop()
  })
})

describe('the control socket', () => {
  test('is private to its owner, accepts only known operations, and is removed with the server', async () => {
    const directory = emptyDirectory()
    const server = await serve({ directory })
    const socket = join(directory, 'data/control.sock')
    expect(statSync(socket).mode & 0o777).toBe(0o600)
    const ask = (name: string) => fetch(`http://localhost/${name}`, { unix: socket, method: 'POST', body: '{}' })
    expect(await (await ask('constructor')).json()).toMatchObject({ refusal: { code: 'not_found' } })
    await server.stop()
    expect(() => statSync(socket)).toThrow()
  })

  test('works with a long path, and replaces the socket of a killed server', async () => {
    const directory = join(emptyDirectory(), 'x'.repeat(120))
    spawnSync('mkdir', ['-p', directory])
    const killed = await serve({ directory })
    await killed.stop('SIGKILL')
    const server = await serve({ directory })
    expect((await run(['user', 'list'], { directory })).stdout).toContain('admin')
    await server.stop()
  })
})
