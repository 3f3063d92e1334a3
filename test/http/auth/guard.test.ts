import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { scopes } from '../../../src/domain/apiKeys/apiKeys.ts'
import { openTestApplication, type TestApplication } from '../../application.ts'
import { documentOf, type OpenApiDocument, type OpenApiOperation } from '../../document.ts'

const good = 'a long enough pass phrase'

let application: TestApplication
let document: OpenApiDocument
beforeAll(async () => {
  application = await openTestApplication('PostgreSQL', { issuer: 'https://auth.example.com' })
  const hash = await Bun.password.hash(good, { algorithm: 'argon2id', memoryCost: 8192, timeCost: 1 })
  await application.sql(`INSERT INTO users (username, hashed_password, full_name, roles) VALUES
    ('plain', '${hash}', 'P', '{}'), ('boss', '${hash}', 'B', '{admin}')`)
  document = (await documentOf(application.http, '/api')) as OpenApiDocument
})
afterAll(() => application.close())

const expired = async () => {
  const soon = new Date(application.clock.now + 1000).toISOString()
  const key = await application.apiKey({ scopes, roles: ['staff'], expires_at: soon })
  application.clock.now += 1000
  return key
}
const revoked = async () => {
  const key = await application.apiKey({ scopes, roles: ['staff'] })
  await application.call('/auth/revoke', { method: 'POST', body: new URLSearchParams({ token: key }) })
  return key
}

/** Every kind of caller there is, each with a credential that was just made. */
const callers = {
  nobody: async () => '',
  plain: () => application.accessToken('plain', good),
  quarantined: () => application.accessToken('admin', 'changeme'),
  administrator: () => application.accessToken('boss', good),
  introspector: () => application.apiKey({ scopes: ['introspect'] }),
  reader: () => application.apiKey({ scopes: ['users:read'] }),
  writer: () => application.apiKey({ scopes: ['users:write'] }),
  'service with a role': () => application.apiKey({ roles: ['staff'] }),
  'service with the role admin': () => application.apiKey({ roles: ['admin'] }),
  'service with everything': () => application.apiKey({ scopes, roles: ['admin'] }),
  'service whose key has expired': expired,
  'service whose key is revoked': revoked,
} as const
type Caller = keyof typeof callers

/** The empty form or object, and ids that name nothing: what comes after the guard refuses with something else than 401 and 403. */
async function statusFor(caller: Caller, method: string, path: string, operation: OpenApiOperation): Promise<number> {
  const credential = await callers[caller]()
  const contentType = Object.keys(operation.requestBody?.content ?? {})[0]
  const response = await application.call(path.slice('/api'.length).replaceAll(/\{\w+\}/g, crypto.randomUUID()), {
    method: method.toUpperCase(),
    headers: {
      ...(credential ? { authorization: `Bearer ${credential}` } : {}),
      ...(contentType ? { 'content-type': contentType } : {}),
    },
    ...(contentType ? { body: contentType.endsWith('json') ? '{}' : '' } : {}),
  })
  return response.status
}

describe('every route, as every kind of caller', () => {
  test('lets in whom the document says, and nobody else', async () => {
    const outcome: Record<string, Record<string, number>> = {}
    for (const [path, methods] of Object.entries(document.paths)) {
      for (const [method, operation] of Object.entries(methods)) {
        const statuses: Record<string, number> = {}
        for (const caller of Object.keys(callers) as Caller[])
          statuses[caller] = await statusFor(caller, method, path, operation)
        outcome[`${method.toUpperCase()} ${path.slice('/api'.length)}`] = statuses
      }
    }
    const everybody = (status: number) => Object.fromEntries(Object.keys(callers).map((caller) => [caller, status]))
    const member = (status: number, quarantined = 403) => ({
      ...everybody(401),
      plain: status,
      quarantined,
      administrator: status,
    })
    const boss = (status: number) => ({ ...member(403), administrator: status })
    /** Keys are looked at, and those of other scopes told so. */
    const bossOr = (key: Caller, status: number) => ({
      ...boss(status),
      introspector: 403,
      reader: 403,
      writer: 403,
      'service with a role': 403,
      'service with the role admin': 403,
      [key]: status,
      'service with everything': status,
    })
    expect(outcome).toEqual({
      'GET /health': everybody(200),
      'GET /ready': everybody(200),
      'GET /.well-known/jwks.json': everybody(200),
      'GET /.well-known/oauth-authorization-server': everybody(200),
      'POST /auth/login': everybody(400),
      'POST /auth/refresh': everybody(400),
      'POST /auth/revoke': everybody(400),
      'POST /auth/introspect': {
        ...bossOr('introspector', 400),
        administrator: 403,
      },
      'GET /auth/me': member(200, 200),
      'GET /auth/verify': {
        ...member(204),
        introspector: 403,
        reader: 403,
        writer: 403,
        'service with a role': 204,
        'service with the role admin': 204,
        'service with everything': 204,
      },
      'POST /auth/logout': member(204, 204),
      'POST /auth/password': member(422, 422),
      'GET /auth/sessions': member(200),
      'DELETE /auth/sessions/{id}': member(404),
      'POST /users': bossOr('writer', 422),
      'GET /users': bossOr('reader', 200),
      'GET /users/{id}': bossOr('reader', 404),
      'PATCH /users/{id}': bossOr('writer', 422),
      'DELETE /users/{id}': bossOr('writer', 404),
      'POST /users/{id}/password': bossOr('writer', 404),
      'GET /users/{id}/sessions': bossOr('reader', 404),
      'DELETE /users/{id}/sessions': bossOr('writer', 404),
      'GET /blocks': boss(200),
      'DELETE /blocks/{id}': boss(404),
      'DELETE /users/{id}/blocks': boss(404),
      'POST /api-keys': boss(422),
      'GET /api-keys': boss(200),
      'DELETE /api-keys/{id}': boss(404),
    })
  })

  test('with a good key is let in exactly where the document has a way in for it', async () => {
    const keys: readonly (readonly [Caller, string])[] = [
      ['introspector', 'introspect'],
      ['reader', 'users:read'],
      ['writer', 'users:write'],
    ]
    for (const [path, methods] of Object.entries(document.paths)) {
      for (const [method, operation] of Object.entries(methods)) {
        if (!operation.security) continue
        for (const [caller, scope] of keys) {
          const isSaid = operation.security.some((way) =>
            (way as { readonly apiKey?: readonly string[] }).apiKey?.includes(scope),
          )
          const status = await statusFor(caller, method, path, operation)
          expect({ caller, method, path, isIn: ![401, 403].includes(status) }).toEqual({
            caller,
            method,
            path,
            isIn: isSaid,
          })
        }
      }
    }
  })
})
