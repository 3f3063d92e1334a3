import { describe, expect, test } from 'bun:test'
import { pbkdf2Sync } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { firebaseExample, keycloakExample, password, thirdPartyHashes } from '../domain/hashes/formats.ts'
import { login } from './binary.ts'
import { databaseKinds, hash, installForSuite, linesOf, serverStates } from './installation.ts'

describe.each(databaseKinds)('import from other programs on %s', (kind) => {
  describe.each(serverStates)('%s', (state) => {
    const { command, installation, withServer, write } = installForSuite(kind, state)

    test('reads the exports of Firebase, Keycloak, Django and Auth0', async () => {
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
              password: thirdPartyHashes[0]?.[1],
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
        recent_events: [],
      })
      expect(JSON.parse((await command('user show dj --json')).stdout)).toMatchObject({
        is_active: false,
        roles: [],
        full_name: 'D J',
      })
      await withServer(async ({ url }) => {
        for (const [name, word] of [
          ['user1@example.com', 'user1password'],
          ['kc', 'admin'],
          ['a0@example.com', password],
        ] as const)
          expect((await login(url, name, word)).status).toBe(200)
      })
    })

    test('reads Keycloak 7 and earlier, and several realms in one file', async () => {
      const salt = Buffer.from('0123456789abcdef')
      const hashedSaltedValue = pbkdf2Sync(password, salt, 27500, 64, 'sha256').toString('base64')
      const credential = {
        type: 'password',
        hashedSaltedValue,
        salt: salt.toString('base64'),
        hashIterations: 27500,
        counter: 0,
        algorithm: 'pbkdf2-sha256',
        digits: 0,
        period: 0,
        config: {},
      }
      const realm = (name: string, ...users: string[]) => ({
        id: name,
        realm: name,
        users: users.map((username) => ({ username, enabled: true, credentials: [credential] })),
        clients: [{ clientId: 'a' }],
      })
      write(
        'realms.json',
        JSON.stringify([realm('master', 'old1'), realm('empty'), realm('shop', 'old2', 'old3')], undefined, 1),
      )
      expect(await command('import realms.json --from keycloak')).toMatchObject({
        code: 0,
        stdout: 'Imported 3 users.\n',
        stderr: '',
      })
      await withServer(async ({ url }) => {
        for (const name of ['old1', 'old2', 'old3']) expect((await login(url, name, password)).status).toBe(200)
      })
    })

    test('gives superusers of Django the role admin only with --superusers-as-admin', async () => {
      const row = (username: string, is_superuser: boolean) => ({
        model: 'auth.user',
        pk: 1,
        fields: { username, password: thirdPartyHashes[0]?.[1], is_superuser, is_active: true },
      })
      const server = {
        model: 'mail.mailserver',
        pk: 1,
        fields: { username: 'robot', password: thirdPartyHashes[0]?.[1] },
      }
      write('one.json', JSON.stringify([row('root1', true), server]))
      write('two.json', JSON.stringify([row('root2', true), row('plain2', false)]))
      expect(await command('import one.json --from django')).toMatchObject({
        code: 0,
        stdout: 'Imported 1 user.\nSkipped 1 record that is not a user.\n',
      })
      expect(await command('import two.json --from django --superusers-as-admin')).toMatchObject({
        code: 0,
        stdout: 'Imported 2 users.\nAdministrators: 1.\n',
      })
      const roles: unknown[] = []
      for (const name of ['root1', 'root2', 'plain2'])
        roles.push(JSON.parse((await command(`user show ${name} --json`)).stdout).roles)
      expect(roles).toEqual([[], ['admin'], []])
      expect(await command('import two.json --from keycloak --superusers-as-admin')).toMatchObject({
        code: 2,
        stderr: 'audittrail: --superusers-as-admin requires --from django.\n',
      })
    })

    test('reports a file in UTF-16, with semicolons or of another program in one line', async () => {
      const csv = `username;hashed_password\n${`ada;${hash}\n`.repeat(3)}`
      write('semicolons.csv', csv)
      writeFileSync(
        join(installation().directory, 'utf16.csv'),
        Buffer.from(`\ufeff${csv.replaceAll(';', ',')}`, 'utf16le'),
      )
      for (const [file, message] of [
        ['semicolons.csv', 'separates them with semicolons'],
        ['utf16.csv', 'in UTF-16'],
        ['django.json', 'Add --from django.'],
        ['realm.json', 'Add --from keycloak.'],
      ] as const) {
        for (const flags of ['', ' --dry-run', ' --skip-bad']) {
          const { code, stdout, stderr } = await command(`import ${file}${flags}`)
          expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
          expect(stderr).toContain(message)
          expect(stderr.trim().split('\n')).toHaveLength(1)
        }
      }
    })
  })
})
