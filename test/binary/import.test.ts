import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { firebaseExample, foreignHashes, keycloakExample, password } from '../domain/hashes/formats.ts'
import { createDatabase } from '../postgresql.ts'
import { hasProgram } from '../requirements.ts'
import { binary, emptyDirectory, login, run, type Server, serve, start } from './binary.ts'

const cheap = { PASSWORD_MEMORY_KIB: '8192', PASSWORD_TIME_COST: '1', SECRET_KEY: 'k'.repeat(32) }
const hash = '$2y$05$zi3Af9NgFe1WuAIifb6CquYSAHpiBilfuKKDMeKu0KsYqFwWQ5SjC'

interface Place {
  readonly directory: string
  readonly environment: Record<string, string>
}

const kinds = ['PostgreSQL', 'the embedded database'] as const
type Kind = (typeof kinds)[number]

async function newPlace(kind: Kind): Promise<Place> {
  const database: Record<string, string> = kind === 'PostgreSQL' ? { DATABASE_URL: await createDatabase() } : {}
  return { directory: emptyDirectory(), environment: { ...cheap, ...database } }
}

function linesOf(users: readonly object[]): string {
  return users.map((user) => `${JSON.stringify(user)}\n`).join('')
}

describe.each(kinds)('import and export on %s', (kind) => {
  describe.each(['with the server down', 'with the server up'] as const)('%s', (state) => {
    let place: Place
    let server: Server | undefined
    beforeAll(async () => {
      place = await newPlace(kind)
      server = await serve(place)
      if (state === 'with the server down') {
        await server.stop()
        server = undefined
      }
    })
    afterAll(() => server?.stop())

    const command = (args: string, input = '') => run(args.split(' '), { ...place, input })
    const write = (name: string, text: string) => writeFileSync(join(place.directory, name), text)

    test('brings users whose old passwords sign in, and are made anew by that', async () => {
      write(
        'users.ndjson',
        linesOf(foreignHashes.map(([, hashed_password], at) => ({ username: `u${at}`, hashed_password }))),
      )
      expect(await command('import users.ndjson')).toMatchObject({
        code: 0,
        stdout: `Imported ${foreignHashes.length} users.\n`,
        stderr: '',
      })
      const running = server ?? (await serve(place))
      for (const at of foreignHashes.keys()) {
        // Not for each: so many failures from one address would have to wait.
        if (at % 4 === 0) expect((await login(running.url, `u${at}`, `${password}x`)).status).toBe(401)
        expect((await login(running.url, `u${at}`, password)).status).toBe(200)
      }
      expect((await login(running.url, 'u0', password)).status).toBe(200)
      if (!server) await running.stop()
      const { stdout } = await command('export -')
      const first = stdout.split('\n').find((line) => line.includes('"u0"')) ?? ''
      expect(JSON.parse(first).hashed_password).toStartWith('$argon2id$v=19$m=8192,t=1,p=1$')
    })

    test('refuses a file with bad lines as a whole, naming each, exit 1; takes the rest when told to', async () => {
      write('bad.csv', `username,hashed_password,roles\nada,${hash},a|b\nbob,$1$a$b,\n"c d",${hash},\n`)
      expect(await command('import bad.csv')).toMatchObject({
        code: 1,
        stdout: '',
        stderr:
          'line 3: hashed_password is md5-crypt ($1$)\n' +
          'line 4: username must be 1 to 50 of the characters A-Z a-z 0-9 . _ @ + -\n' +
          'audittrail: 2 of 3 lines are invalid, so nothing was imported. Fix them, or import the rest with --skip-bad.\n',
      })
      expect((await command('user show ada')).code).toBe(1)
      expect(await command('import bad.csv --skip-bad --dry-run')).toMatchObject({
        code: 0,
        stdout: 'Would import 1 user.\nSkipped 2 invalid records.\n',
      })
      expect((await command('user show ada')).code).toBe(1)
      const { code, stdout } = await command(
        'import - --format csv --skip-bad --json',
        readFileSync(join(place.directory, 'bad.csv'), 'utf8'),
      )
      expect({ code, report: JSON.parse(stdout) }).toMatchObject({ code: 0, report: { good: 1, bad: 2 } })
      expect(JSON.parse((await command('user show ada --json')).stdout)).toMatchObject({ roles: ['a', 'b'] })
    })

    test('reads what Firebase, Keycloak, Django and Auth0 write', async () => {
      write('hash_config', firebaseExample.config)
      write(
        'firebase.json',
        JSON.stringify({ users: [firebaseExample.user, { localId: 'x1', displayName: 'By Google' }] }),
      )
      write(
        'realm.json',
        JSON.stringify(
          {
            realm: 'team',
            users: [
              {
                id: '8f6f1d9a-6c51-4d3e-9a44-0b8a4e6a1f10',
                username: 'kc',
                firstName: 'Kay',
                lastName: 'Cee',
                enabled: true,
                createdTimestamp: 1700000000000,
                credentials: [keycloakExample],
                realmRoles: ['default-roles-team', 'offline_access', 'editor'],
              },
              { username: 'service-account-app', enabled: true, serviceAccountClientId: 'app' },
            ],
          },
          undefined,
          2,
        ),
      )
      write(
        'django.json',
        JSON.stringify([
          { model: 'auth.permission', pk: 1, fields: { name: 'Can add' } },
          {
            model: 'auth.user',
            pk: 1,
            fields: {
              username: 'dj',
              first_name: 'D',
              last_name: 'J',
              password: foreignHashes[0]?.[1],
              is_active: false,
              is_superuser: true,
              date_joined: '2024-05-06T07:08:09.123Z',
            },
          },
        ]),
      )
      write(
        'auth0.json',
        linesOf([
          { _id: { $oid: '1' }, identifiers: [{ type: 'email', value: 'a0@example.com' }], passwordHash: hash },
        ]),
      )
      expect(await command('import firebase.json --from firebase')).toMatchObject({
        code: 2,
        stderr: expect.stringContaining('--hash-config FILE'),
      })
      for (const [args, stdout] of [
        [
          'firebase.json --from firebase --hash-config hash_config',
          'Imported 2 users.\nUsers without a password: 1. Set one with "audittrail user password NAME".\n',
        ],
        ['realm.json --from keycloak', 'Imported 1 user.\nSkipped 1 record that is not a user.\n'],
        ['django.json --from django', 'Imported 1 user.\nSkipped 1 record that is not a user.\n'],
        ['auth0.json --from auth0', 'Imported 1 user.\n'],
      ] as const)
        expect({ args, ...(await command(`import ${args}`)) }).toMatchObject({ args, code: 0, stdout })
      expect(JSON.parse((await command('user show kc --json')).stdout)).toEqual({
        id: '8f6f1d9a-6c51-4d3e-9a44-0b8a4e6a1f10',
        username: 'kc',
        full_name: 'Kay Cee',
        is_active: true,
        roles: ['editor'],
        must_change_password: false,
        created_at: '2023-11-14T22:13:20.000Z',
      })
      expect(JSON.parse((await command('user show dj --json')).stdout)).toMatchObject({
        is_active: false,
        roles: [],
        full_name: 'D J',
      })
      const running = server ?? (await serve(place))
      for (const [name, word] of [
        ['user1@example.com', 'user1password'],
        ['kc', 'admin'],
        ['a0@example.com', password],
      ] as const)
        expect((await login(running.url, name, word)).status).toBe(200)
      if (!server) await running.stop()
    })

    test('exports to a file that only its owner reads, whole or not at all, over no other', async () => {
      const out = await command('export users.out')
      expect(out).toMatchObject({
        code: 0,
        stdout: '',
        stderr: expect.stringContaining('contains password hashes'),
      })
      expect(statSync(join(place.directory, 'users.out')).mode & 0o777).toBe(0o600)
      expect(await command('export users.out')).toMatchObject({
        code: 1,
        stderr: 'audittrail: The file "users.out" already exists. Add --force to replace it.\n',
      })
      expect((await command('export users.out --force')).code).toBe(0)
      expect((await command('export nowhere/users.out')).stderr).toBe(
        'audittrail: Cannot write the file "nowhere/users.out" (ENOENT).\n',
      )
      expect(readdirSync(place.directory).filter((name) => name.endsWith('.partial'))).toEqual([])
    })

    test.each(['SIGINT', 'SIGHUP'] as const)(
      'leaves nothing behind of an export that is ended by %s',
      async (signal) => {
        const files = () => readdirSync(place.directory).filter((name) => name.endsWith('.partial'))
        const child = start({ ...place, args: ['export', 'ended.out'] })
        while (files().length === 0 && child.process.exitCode === null) await Bun.sleep(1)
        child.process.kill(signal)
        await child.finished
        expect(files()).toEqual([])
        rmSync(join(place.directory, 'ended.out'), { force: true })
      },
    )

    test('replaces no device, pipe or directory, whatever it is told', async () => {
      const pipe = join(place.directory, 'pipe')
      spawnSync('mkfifo', [pipe])
      mkdirSync(join(place.directory, 'place'), { recursive: true })
      symlinkSync('/dev/null', join(place.directory, 'null'))
      for (const name of ['pipe', 'place', 'null']) {
        expect(await command(`export ${name} --force`)).toMatchObject({
          code: 1,
          stderr: `audittrail: ${JSON.stringify(name)} is not a regular file and is not replaced. Choose another file, or - for stdout.\n`,
        })
      }
      expect(statSync(pipe).isFIFO()).toBe(true)
      expect((await command(`export ${'x'.repeat(300)}`)).stderr).toContain('(ENAMETOOLONG).')
      rmSync(pipe)
      rmSync(join(place.directory, 'null'))
    })

    test('does not say that it has exported what nobody has taken', async () => {
      const into = async (target: string) => {
        const [program, ...args] = ['sh', '-c', `exec "$0" export - > ${target}`]
        return run([], { ...place, command: [program ?? '', ...args] })
      }
      expect(await into('/dev/full')).toMatchObject({
        code: 1,
        stderr: 'audittrail: Cannot write to standard output (ENOSPC). Not every user was exported.\n',
      })
      expect(await run([], { ...place, command: ['sh', '-c', '{ "$0" export -; echo $? >&2; } | :'] })).toMatchObject({
        stderr: 'audittrail: Cannot write to standard output (EPIPE). Not every user was exported.\n1\n',
      })
    })

    test('says what is wrong with the command', async () => {
      mkdirSync(join(place.directory, 'folder'), { recursive: true })
      for (const [args, code, line] of [
        ['import users.txt', 2, 'does not tell the format'],
        ['import none.ndjson', 1, 'The file "none.ndjson" does not exist.'],
        ['import folder --format csv', 1, '"folder" is a directory.'],
        ['import users.ndjson --from oracle', 2, '--from must be one of: django, keycloak, firebase, auth0.'],
        ['import users.ndjson --format xml', 2, '--format must be one of'],
        ['import users.ndjson --hash-config x', 2, 'requires --from firebase'],
        ['import bad.csv --format json', 1, 'neither a JSON array'],
      ] as const) {
        const { code: actual, stderr } = await command(args)
        expect({ args, code: actual }).toEqual({ args, code })
        expect(stderr).toContain(line)
        expect(stderr.trim().split('\n')).toHaveLength(1)
      }
    })

    test.each(['SIGINT', 'SIGKILL'] as const)('that is ended by %s in the middle lets nobody in', async (signal) => {
      // Skipping what is bad: were it taken for the end of the file, the good ones would go in.
      const child = spawn(binary, ['import', '-', '--skip-bad'], {
        cwd: place.directory,
        env: { PATH: process.env.PATH, ...place.environment },
        stdio: ['pipe', 'ignore', 'pipe'],
      })
      let said = ''
      child.stderr.on('data', (chunk) => {
        said += chunk
      })
      const users = (from: number) =>
        linesOf(Array.from({ length: 2000 }, (_, at) => ({ username: `${signal}${from + at}`, hashed_password: hash })))
      // One bad line, so that it is heard when the first users have been staged.
      child.stdin.write(`${users(0)}not json\n${users(2000)}`)
      while (!said.includes('line 2001: is not JSON')) await once(child.stderr, 'data')
      child.kill(signal)
      await once(child, 'close')
      if (signal === 'SIGINT') expect(said).toContain('Interrupted. Nothing was imported.')
      const { stdout } = await command(`user list --json --search ${signal}`)
      expect(JSON.parse(stdout)).toEqual([])
    })
  })
})

describe.each([
  ['PostgreSQL', 'the embedded database'],
  ['the embedded database', 'PostgreSQL'],
] as const)('what is exported from %s', (from, to) => {
  test(`gives the same users, ids and hashes on ${to}`, async () => {
    const [one, other] = [await newPlace(from), await newPlace(to)]
    await (await serve(one)).stop()
    const users = foreignHashes.map(([full_name, hashed_password], at) => ({
      username: `U${at}`,
      full_name,
      hashed_password,
      roles: ['r'],
      is_active: at % 2 === 0,
    }))
    expect((await run(['import', '-'], { ...one, input: linesOf(users) })).code).toBe(0)
    const exported = await run(['export', '-'], one)
    const server = await serve(other)
    const moved = await run(['import', '-'], { ...other, input: exported.stdout })
    expect(moved).toMatchObject({ code: 0, stderr: '' })
    expect((await run(['export', '-'], other)).stdout).toBe(exported.stdout)
    expect((await login(server.url, 'u0', password)).status).toBe(200)
    expect((await login(server.url, 'admin', 'changeme')).status).toBe(200)
    await server.stop()
  })
})

test('an import into an empty database leaves nobody to be seeded', async () => {
  const place = await newPlace('PostgreSQL')
  expect(
    (
      await run(['import', '-'], {
        ...place,
        input: linesOf([{ username: 'ada', hashed_password: hash, roles: ['admin'] }]),
      })
    ).stdout,
  ).toBe('Imported 1 user.\nAdministrators: 1.\n')
  const server = await serve(place)
  expect((await login(server.url, 'admin', 'changeme')).status).toBe(401)
  expect((await login(server.url, 'ada', password)).status).toBe(200)
  await server.stop()
})

test('an import whose server is killed in the middle lets nobody in', async () => {
  const place = await newPlace('the embedded database')
  const server = await serve(place)
  const child = spawn(binary, ['import', '-', '--skip-bad'], {
    cwd: place.directory,
    env: { PATH: process.env.PATH, ...place.environment },
    stdio: ['pipe', 'ignore', 'pipe'],
  })
  const exited = once(child, 'close')
  let said = ''
  child.stderr.on('data', (chunk) => {
    said += chunk
  })
  child.stdin.on('error', () => {})
  const users = Array.from({ length: 1000 }, (_, at) => ({ username: `k${at}`, hashed_password: hash }))
  child.stdin.write(`not json\n${linesOf(users)}`)
  while (!said.includes('is not JSON')) await once(child.stderr, 'data')
  await server.stop('SIGKILL')
  const [code] = await exited
  expect({ code, said }).toMatchObject({
    code: 1,
    said: expect.stringContaining('stopped before it was done. Either all users were imported or none'),
  })
  expect(JSON.parse((await run(['user', 'list', '--json', '--search', 'k'], place)).stdout)).toEqual([])
})

describe('progress', () => {
  test.skipIf(!hasProgram('script', 'bsdutils'))('is shown on a terminal, and there alone', async () => {
    const place = await newPlace('PostgreSQL')
    const users = Array.from({ length: 2000 }, (_, at) => ({ username: `p${at}`, hashed_password: hash }))
    writeFileSync(join(place.directory, 'users.ndjson'), linesOf(users))
    const screen = spawnSync('script', ['-qec', `${binary} import users.ndjson`, '/dev/null'], {
      cwd: place.directory,
      env: { PATH: process.env.PATH, ...place.environment },
      encoding: 'utf8',
      timeout: 30_000,
    }).stdout
    expect(screen).toContain('#] 100 %')
    expect(screen).toContain('Imported 2,000 users.')
  })
})
