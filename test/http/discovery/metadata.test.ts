import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test'
import { locateMetadata } from '../../../src/http/discovery/metadata.ts'
import { openTestApplication, type TestApplication } from '../../application.ts'

const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})
async function open(options: Parameters<typeof openTestApplication>[1]): Promise<TestApplication> {
  const application = await openTestApplication('PostgreSQL', options)
  closing.push(() => application.close())
  return application
}

describe('server metadata', () => {
  let application: TestApplication
  beforeAll(async () => {
    application = await openTestApplication('PostgreSQL', { issuer: 'https://auth.example.com', algorithm: 'EdDSA' })
  })
  afterAll(() => application.close())

  const read = async ({ http }: Pick<TestApplication, 'http'>, path: string) => {
    const response = await http.handle(new Request(`http://localhost${path}`))
    return response.status === 200 ? await response.json() : response.status
  }

  test('lists exactly what is supported', async () => {
    expect(await (await application.call('/.well-known/oauth-authorization-server')).json()).toEqual({
      issuer: 'https://auth.example.com',
      token_endpoint: 'https://auth.example.com/api/auth/login',
      revocation_endpoint: 'https://auth.example.com/api/auth/revoke',
      introspection_endpoint: 'https://auth.example.com/api/auth/introspect',
      jwks_uri: 'https://auth.example.com/api/.well-known/jwks.json',
      grant_types_supported: ['password', 'refresh_token'],
      response_types_supported: [],
      scopes_supported: ['offline_access'],
      token_endpoint_auth_methods_supported: ['none'],
      revocation_endpoint_auth_methods_supported: ['none'],
      introspection_endpoint_auth_methods_supported: ['client_secret_basic', 'Bearer'],
    })
  })

  test('is also served from the root', async () => {
    const here = await read(application, '/api/.well-known/oauth-authorization-server')
    for (const path of ['', '/api', '?x=y'])
      expect(await read(application, `/.well-known/oauth-authorization-server${path}`)).toEqual(here)
    for (const path of ['/x', '/api/x', '/api/auth/me', '/../api/auth/me'])
      expect(await read(application, `/.well-known/oauth-authorization-server${path}`)).toBe(404)
  })

  test('has no jwks_uri with HS256', async () => {
    const plain = await open({ issuer: 'http://localhost:8000/api' })
    expect(await read(plain, '/.well-known/oauth-authorization-server/api')).not.toHaveProperty('jwks_uri')
  })

  test('does not exist if ISSUER is not a URL', async () => {
    const plain = await open({})
    for (const path of ['/api/.well-known/oauth-authorization-server', '/.well-known/oauth-authorization-server/api'])
      expect(await read(plain, path)).toBe(404)
  })

  test.each([
    ['https://a.example', '/api', 'https://a.example/api'],
    ['https://a.example/', '/api', 'https://a.example/api'],
    ['https://a.example/api', '/api', 'https://a.example/api'],
    ['https://a.example:8443/login', '/api', 'https://a.example:8443/api'],
    ['https://a.example/api', '', 'https://a.example/api'],
    ['https://a.example', '', 'https://a.example'],
    ['http://127.0.0.1:8000', '/api', 'http://127.0.0.1:8000/api'],
    ['http://[::1]:8000', '/api', 'http://[::1]:8000/api'],
  ])('for ISSUER %s and BASE_PATH %p has endpoints at %s', (issuer, basePath, prefix) => {
    expect(locateMetadata({ issuer, basePath })).toMatchObject({ issuer, prefix })
  })

  test.each([
    'audittrail',
    'http://a.example',
    'https://a.example?x=y',
    'https://a.example/#x',
    'https://a.example?',
    'https://u:p@a.example',
    'urn:a:b',
    'ftp://localhost',
  ])('does not exist for ISSUER %s', (issuer) => {
    expect(locateMetadata({ issuer, basePath: '/api' })).toBeUndefined()
  })
})
