import { describe, expect, test } from 'bun:test'
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { password, thirdPartyHashes } from '../domain/hashes/formats.ts'
import { login, run, serve } from './binary.ts'
import { databaseKinds, hash, installForSuite, linesOf, newInstallation, serverStates } from './installation.ts'

describe.each(databaseKinds)('import on %s', (kind) => {
  describe.each(serverStates)('%s', (state) => {
    const { command, installation, withServer, write } = installForSuite(kind, state)

    test('imports third-party hashes, which are rehashed at the first sign-in', async () => {
      write(
        'users.ndjson',
        linesOf(thirdPartyHashes.map(([, hashed_password], at) => ({ username: `u${at}`, hashed_password }))),
      )
      expect(await command('import users.ndjson')).toMatchObject({
        code: 0,
        stdout: `Imported ${thirdPartyHashes.length} users.\n`,
        stderr: '',
      })
      await withServer(async ({ url }) => {
        // Hashes are the same on each database, so all of them are verified on one.
        const isOnAll = kind === 'PostgreSQL' && state === 'with the server up'
        for (const at of isOnAll ? thirdPartyHashes.keys() : [0]) {
          // Not for every user: that many failures from one address would be throttled.
          if (at % 4 === 0) expect((await login(url, `u${at}`, `${password}x`)).status).toBe(401)
          expect((await login(url, `u${at}`, password)).status).toBe(200)
        }
        expect((await login(url, 'u0', password)).status).toBe(200)
      })
      const { stdout } = await command('export -')
      const first = stdout.split('\n').find((line) => line.includes('"u0"')) ?? ''
      expect(JSON.parse(first).hashed_password).toStartWith('$argon2id$v=19$m=8192,t=1,p=1$')
    })

    test('exits 1 and imports nothing if lines are bad, and imports the rest with --skip-bad', async () => {
      write('bad.csv', `username,hashed_password,roles\nada,${hash},a|b\nbob,$1$a$b,\n"c d",${hash},\n`)
      expect(await command('import bad.csv')).toMatchObject({
        code: 1,
        stdout: '',
        stderr:
          'line 3: hashed_password is not supported: md5-crypt ($1$)\n' +
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
        readFileSync(join(installation().directory, 'bad.csv'), 'utf8'),
      )
      expect({ code, report: JSON.parse(stdout) }).toMatchObject({ code: 0, report: { good: 1, bad: 2 } })
      expect(JSON.parse((await command('user show ada --json')).stdout)).toMatchObject({ roles: ['a', 'b'] })
    })

    test('reports wrong arguments and unreadable files in one line', async () => {
      mkdirSync(join(installation().directory, 'folder'), { recursive: true })
      for (const [args, code, line] of [
        ['import users.txt', 2, 'Cannot tell the format'],
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
  })
})

test('import: an import into an empty database prevents seeding', async () => {
  const place = await newInstallation('PostgreSQL')
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

describe.each([
  ['PostgreSQL', 'the embedded database'],
  ['the embedded database', 'PostgreSQL'],
] as const)('users exported from %s', (from, to) => {
  test(`keep their IDs and hashes when imported into ${to}`, async () => {
    const [one, other] = [await newInstallation(from), await newInstallation(to)]
    await (await serve(one)).stop()
    const users = thirdPartyHashes.map(([full_name, hashed_password], at) => ({
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
