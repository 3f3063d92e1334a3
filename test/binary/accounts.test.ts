import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { createDatabase } from '../postgresql.ts'
import { hasProgram } from '../requirements.ts'
import { accessToken, binary, emptyDirectory, login, me, run, type Server, serve } from './binary.ts'

const good = 'a long enough pass phrase'
const cheap = { PASSWORD_MEMORY_KIB: '8192', PASSWORD_TIME_COST: '1' }

interface Place {
  readonly directory: string
  readonly environment: Record<string, string>
}

const places = ['PostgreSQL', 'the embedded database'] as const
const states = ['with the server down', 'with the server up'] as const

describe.each(places)('the command line on %s', (kind) => {
  describe.each(states)('%s', (state) => {
    let place: Place
    let server: Server | undefined
    beforeAll(async () => {
      const database: Record<string, string> = kind === 'PostgreSQL' ? { DATABASE_URL: await createDatabase() } : {}
      place = { directory: emptyDirectory(), environment: { ...database, ...cheap, SECRET_KEY: 'k'.repeat(32) } }
      server = await serve(place)
      if (state === 'with the server down') {
        await server.stop()
        server = undefined
      }
    })
    afterAll(() => server?.stop())

    const command = (args: string, input = '') => run(args.split(' '), { ...place, input })
    const ok = async (args: string, input = '') => {
      const { code, stdout, stderr } = await command(args, input)
      expect({ args, code, stderr }).toEqual({ args, code: 0, stderr: '' })
      return stdout
    }
    /** Signs in through the server that is up, or one that is started for it. */
    const signsIn = async (username: string, password: string): Promise<number> => {
      const running = server ?? (await serve(place))
      const { status } = await login(running.url, username, password)
      if (!server) await running.stop()
      return status
    }

    test('adds, shows, lists, changes and removes users', async () => {
      expect(await ok('user add ada --full-name Ada --role billing --role support', `${good}\nsecond line\n`)).toBe(
        'User ada created.\n',
      )
      const shown = JSON.parse(await ok('user show ADA --json'))
      expect(shown).toMatchObject({
        username: 'ada',
        full_name: 'Ada',
        roles: ['billing', 'support'],
        must_change_password: false,
      })
      expect(shown).not.toHaveProperty('hashed_password')
      expect(await ok('user list --search ada')).toMatch(
        /^NAME +FULL NAME +STATE +ROLES\nada +Ada +active +billing,support\n$/,
      )
      expect(await signsIn('ada', good)).toBe(200)
      expect(await ok('user disable ada')).toBe('User ada: disabled, roles billing, support.\n')
      expect(await signsIn('ada', good)).toBe(401)
      expect(await ok('user set ada --active --no-roles --full-name=Countess')).toBe('User ada: active, no roles.\n')
      expect(await ok('user password ada', 'another long pass phrase\n')).toBe('Password set for ada.\n')
      expect(await signsIn('ada', 'another long pass phrase')).toBe(200)
      expect(await ok('user remove ada')).toBe('User ada removed.\n')
      expect((await command('user show ada')).stderr).toBe('audittrail: There is no user "ada".\n')
    })

    test('prints a one-time password once when none is given', async () => {
      const made = await ok('user add temp')
      const password = /shown only once\): (\S+)\n/.exec(made)?.[1] ?? ''
      expect(await signsIn('temp', password)).toBe(200)
      expect(JSON.parse(await ok('user show temp --json'))).toMatchObject({
        must_change_password: true,
        full_name: 'temp',
      })
      expect(await ok('user password temp')).toMatch(/One-time password \(shown only once\): \S+\n$/)
    })

    test.each([
      ['user add admin', good, 'This username is taken.'],
      ['user add short', 'short', 'The new password must have at least 12 characters (got 5).'],
      ['user add bad/name', good, 'The field username must be 1 to 50'],
      ['user add x --role Admin', good, 'The field roles must have at most 32 entries'],
      ['user disable admin', '', 'This is the last active administrator'],
      ['user remove admin', '', 'This is the last active administrator'],
      ['user add nul', `${good}\0`, 'not UTF-8 text'],
      ['session revoke 00000000-0000-4000-8000-000000000000', '', 'There is no such active session.'],
    ])('%s is refused in one line, exit 1', async (args, input, line) => {
      const { code, stdout, stderr } = await command(args, input)
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
      expect(stderr).toContain(line)
      expect(stderr.trim().split('\n')).toHaveLength(1)
    })

    test('lists and ends sessions', async () => {
      await ok('user add grace', good)
      const running = server ?? (await serve(place))
      const [first, second] = [
        await accessToken(running.url, 'grace', good),
        await accessToken(running.url, 'grace', good),
      ]
      if (!server) await running.stop()
      const sessions = JSON.parse(await ok('session list grace --json')) as { id: string; address: string }[]
      expect(sessions.map(({ address }) => address)).toEqual(['127.0.0.1', '127.0.0.1'])
      expect(await ok(`session revoke ${sessions[0]?.id}`)).toBe('Session ended.\n')
      expect(await ok('session revoke grace')).toBe('Sessions ended: 1.\n')
      const asked = server ?? (await serve(place))
      expect([(await me(asked.url, first)).status, (await me(asked.url, second)).status]).toEqual([401, 401])
      if (!server) await asked.stop()
    })

    test('says what is wrong with a command, exit 2', async () => {
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

describe('a command in the wrong place', () => {
  test('makes no database, and says where it looked', async () => {
    const directory = emptyDirectory()
    const { code, stderr } = await run(['user', 'list'], { directory })
    expect(code).toBe(1)
    expect(stderr).toStartWith('audittrail: There is no database in DATA_DIR "./data". Start the server there once')
    expect(readdirSync(directory)).toEqual([])
  })

  test.skipIf(process.getuid?.() !== 0)('leaves nothing of its own among the files of another user', async () => {
    const directory = emptyDirectory()
    await (await serve({ directory })).stop()
    spawnSync('chown', ['-R', '65534', directory])
    const { code, stderr } = await run(['user', 'list'], { directory })
    expect(code).toBe(1)
    expect(stderr).toContain('belongs to the user with ID 65534, but this process runs as 0')
  })

  test('does not wait for more than the first line of standard input', async () => {
    const directory = emptyDirectory()
    await (await serve({ directory })).stop()
    const child = spawn(binary, ['user', 'add', 'slow'], {
      cwd: directory,
      env: { PATH: process.env.PATH, ...cheap },
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    child.stdin.write(`${good}\n`)
    const [code] = await once(child, 'exit')
    expect(code).toBe(0)
  })
})

describe('a lost administrator', () => {
  test('is recovered offline', async () => {
    const place = { directory: emptyDirectory(), environment: cheap }
    await (await serve(place)).stop()
    await run(['user', 'add', 'other', '--role', 'admin'], { ...place, input: good })
    await run(['user', 'set', 'admin', '--no-roles', '--inactive'], place)
    expect((await run(['user', 'set', 'admin', '--role', 'admin', '--active'], place)).stdout).toBe(
      'User admin: active, roles admin.\n',
    )
    expect((await run(['user', 'password', 'admin'], { ...place, input: `${good}\n` })).code).toBe(0)
    const server = await serve(place)
    expect((await login(server.url, 'admin', good)).status).toBe(200)
    await server.stop()
  })
})

describe('the control socket', () => {
  test('is for its owner alone, takes operations and no SQL, and goes with the server', async () => {
    const directory = emptyDirectory()
    const server = await serve({ directory })
    const socket = join(directory, 'data/control.sock')
    expect(statSync(socket).mode & 0o777).toBe(0o600)
    const ask = (name: string) => fetch(`http://localhost/${name}`, { unix: socket, method: 'POST', body: '{}' })
    expect(await (await ask('constructor')).json()).toMatchObject({ refusal: { code: 'not_found' } })
    await server.stop()
    expect(() => statSync(socket)).toThrow()
  })

  test('is found where the path is long, and where a killed server has left one', async () => {
    const directory = join(emptyDirectory(), 'x'.repeat(120))
    spawnSync('mkdir', ['-p', directory])
    const killed = await serve({ directory })
    await killed.stop('SIGKILL')
    const server = await serve({ directory })
    expect((await run(['user', 'list'], { directory })).stdout).toContain('admin')
    await server.stop()
  })
})

describe('a password typed at a terminal', () => {
  test.skipIf(!hasProgram('script', 'bsdutils'))('is asked for twice and not shown', async () => {
    const directory = emptyDirectory()
    await (await serve({ directory, environment: cheap })).stop()
    // `script` gives the command a terminal.
    const typed = (first: string, second: string, name: string) =>
      spawnSync('script', ['-qec', `${binary} user add ${name}`, '/dev/null'], {
        cwd: directory,
        env: { PATH: process.env.PATH, ...cheap },
        input: `${first}\r${second}\r`,
        encoding: 'utf8',
        timeout: 20_000,
      }).stdout
    const screen = typed(good, good, 'typist')
    expect(screen).toContain('Password for typist')
    expect(screen).toContain('User typist created.')
    expect(typed(good, 'something else entirely', 'other')).toContain('The passwords do not match')
    expect((await run(['user', 'list'], { directory })).stdout).not.toContain('other')
  })
})
