import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { scopes } from '../../../src/domain/apiKeys/apiKeys.ts'
import { hashOf, openTestApplication, type TestApplication } from '../../application.ts'
import { documentOf, type OpenApiDocument, type OpenApiOperation } from '../../document.ts'

const good = 'a long enough pass phrase'

let application: TestApplication
let document: OpenApiDocument
beforeAll(async () => {
  application = await openTestApplication('PostgreSQL', { issuer: 'https://auth.example.com' })
  const hash = await hashOf(good)
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

/** Every kind of caller, each with a new credential. */
const callers = {
  anonymous: async () => '',
  plain: () => application.accessToken('plain', good),
  quarantined: () => application.accessToken('admin', 'changeme'),
  administrator: () => application.accessToken('boss', good),
  introspector: () => application.apiKey({ scopes: ['introspect'] }),
  reader: () => application.apiKey({ scopes: ['users:read'] }),
  writer: () => application.apiKey({ scopes: ['users:write'] }),
  auditor: () => application.apiKey({ scopes: ['audit:read'] }),
  'service with a role': () => application.apiKey({ roles: ['staff'] }),
  'service with the role admin': () => application.apiKey({ roles: ['admin'] }),
  'service with everything': () => application.apiKey({ scopes, roles: ['admin'] }),
  'service whose key has expired': expired,
  'service whose key is revoked': revoked,
} as const
type Caller = keyof typeof callers

/**
 * Sends an empty body and unknown ids, so that what comes after the guard fails with neither 401
 * nor 403.
 */
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

describe('access to every route', () => {
  test('is limited to the callers in the document', async () => {
    const outcome: Record<string, Record<string, number>> = {}
    for (const [path, methods] of Object.entries(document.paths)) {
      for (const [method, operation] of Object.entries(methods)) {
        const statuses: Record<string, number> = {}
        for (const caller of Object.keys(callers) as Caller[])
          statuses[caller] = await statusFor(caller, method, path, operation)
        outcome[`${method.toUpperCase()} ${path.slice('/api'.length)}`] = statuses
      }
    }
    const everyone = (status: number) => Object.fromEntries(Object.keys(callers).map((caller) => [caller, status]))
    const member = (status: number, quarantined = 403) => ({
      ...everyone(401),
      plain: status,
      quarantined,
      administrator: status,
    })
    const administrator = (status: number) => ({ ...member(403), administrator: status })
    /** A valid API key with another scope gets 403. */
    const administratorOr = (key: Caller, status: number) => ({
      ...administrator(status),
      introspector: 403,
      reader: 403,
      writer: 403,
      auditor: 403,
      'service with a role': 403,
      'service with the role admin': 403,
      [key]: status,
      'service with everything': status,
    })
    expect(outcome).toEqual({
      'GET /health': everyone(200),
      'GET /ready': everyone(200),
      'GET /.well-known/jwks.json': everyone(200),
      'GET /.well-known/oauth-authorization-server': everyone(200),
      'POST /auth/login': everyone(400),
      'POST /auth/refresh': everyone(400),
      'POST /auth/revoke': everyone(400),
      'POST /auth/introspect': {
        ...administratorOr('introspector', 400),
        administrator: 403,
      },
      'GET /auth/me': member(200, 200),
      'GET /auth/session': member(200, 200),
      'GET /auth/verify': {
        ...member(204),
        introspector: 403,
        reader: 403,
        writer: 403,
        auditor: 403,
        'service with a role': 204,
        'service with the role admin': 204,
        'service with everything': 204,
      },
      'POST /auth/logout': member(204, 204),
      'POST /auth/password': member(422, 422),
      'GET /auth/sessions': member(200),
      // Not from a page of the same origin.
      'POST /auth/session': everyone(403),
      'DELETE /auth/session': everyone(403),
      'DELETE /auth/sessions/{id}': member(404),
      'POST /users': administratorOr('writer', 422),
      'GET /users': administratorOr('reader', 200),
      'GET /users/{id}': administratorOr('reader', 404),
      'PATCH /users/{id}': administratorOr('writer', 422),
      'DELETE /users/{id}': administratorOr('writer', 404),
      'POST /users/{id}/password': administratorOr('writer', 404),
      'GET /users/{id}/sessions': administratorOr('reader', 404),
      'DELETE /users/{id}/sessions': administratorOr('writer', 404),
      'GET /blocks': administrator(200),
      'DELETE /blocks/{id}': administrator(404),
      'DELETE /users/{id}/blocks': administrator(404),
      'POST /api-keys': administrator(422),
      'GET /api-keys': administrator(200),
      'DELETE /api-keys/{id}': administrator(404),
      'GET /audit/log/checkpoint': administratorOr('auditor', 200),
      'GET /audit/log/tile/{level}/{tile}': administratorOr('auditor', 404),
      'GET /audit/events': administratorOr('auditor', 200),
      'GET /auth/activity': member(200),
    })
  })

  test('with a valid API key is exactly as documented', async () => {
    const keys: readonly (readonly [Caller, string])[] = [
      ['introspector', 'introspect'],
      ['reader', 'users:read'],
      ['writer', 'users:write'],
      ['auditor', 'audit:read'],
    ]
    for (const [path, methods] of Object.entries(document.paths)) {
      for (const [method, operation] of Object.entries(methods)) {
        if (!operation.security) continue
        for (const [caller, scope] of keys) {
          const isDocumented = operation.security.some((scheme) =>
            (scheme as { readonly apiKey?: readonly string[] }).apiKey?.includes(scope),
          )
          const status = await statusFor(caller, method, path, operation)
          expect({ caller, method, path, isAllowed: ![401, 403].includes(status) }).toEqual({
            caller,
            method,
            path,
            isAllowed: isDocumented,
          })
        }
      }
    }
  })
})
