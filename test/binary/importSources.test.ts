import { describe, expect, test } from 'bun:test'
import { firebaseExample, keycloakExample, password, thirdPartyHashes } from '../domain/hashes/formats.ts'
import { login } from './binary.ts'
import { databaseKinds, hash, installForSuite, linesOf, serverStates } from './installation.ts'

describe.each(databaseKinds)('import from other programs on %s', (kind) => {
  describe.each(serverStates)('%s', (state) => {
    const { command, withServer, write } = installForSuite(kind, state)

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
  })
})
