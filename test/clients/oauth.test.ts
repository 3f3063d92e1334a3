import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import * as oauth from 'oauth4webapi'
import * as openid from 'openid-client'
import { type Server, serve } from '../binary/binary.ts'
import { createDatabase } from '../postgresql.ts'

let server: Server
beforeAll(async () => {
  server = await serve({ environment: { DATABASE_URL: await createDatabase(), SECRET_KEY: 'k'.repeat(32) } })
})
afterAll(() => server.stop())

const administrator = { username: 'admin', full_name: 'Default Admin', is_active: true }
const wrongPassword = { status: 401, error: 'invalid_grant', detail: 'Incorrect username or password' }

async function body({ response }: oauth.WWWAuthenticateChallengeError): Promise<typeof wrongPassword> {
  const { status, error, detail } = (await response.json()) as typeof wrongPassword
  return { status, error, detail }
}

describe('oauth4webapi', () => {
  const client: oauth.Client = { client_id: 'web' }
  // Both libraries require https unless told otherwise.
  const plain = { [oauth.allowInsecureRequests]: true }
  const provider = (): oauth.AuthorizationServer => ({
    issuer: server.origin,
    token_endpoint: `${server.url}/auth/login`,
  })
  const request = (grantType: string, parameters: Record<string, string>) =>
    oauth.genericTokenEndpointRequest(provider(), client, oauth.None(), grantType, parameters, plain)
  const refusal = async (response: Response) => {
    const error = await oauth
      .processGenericTokenEndpointResponse(provider(), client, response)
      .catch((error: unknown) => error)
    expect(error).toBeInstanceOf(oauth.ResponseBodyError)
    return error as oauth.ResponseBodyError
  }

  test('signs in and reads /auth/me', async () => {
    const response = await request('password', { username: 'admin', password: 'changeme' })
    const tokens = await oauth.processGenericTokenEndpointResponse(provider(), client, response)
    expect(tokens).toMatchObject({ token_type: 'bearer', expires_in: 1800 })
    const me = new URL(`${server.url}/auth/me`)
    const answer = await oauth.protectedResourceRequest(tokens.access_token, 'GET', me, undefined, null, plain)
    expect(await answer.json()).toMatchObject(administrator)
  })

  // These libraries treat any response with WWW-Authenticate as a challenge. The body comes with
  // it.
  test('reports a wrong password as a challenge with invalid_grant in its body', async () => {
    const response = await request('password', { username: 'admin', password: 'wrong' })
    const error = await oauth
      .processGenericTokenEndpointResponse(provider(), client, response)
      .catch((error: unknown) => error)
    expect(error).toBeInstanceOf(oauth.WWWAuthenticateChallengeError)
    expect(await body(error as oauth.WWWAuthenticateChallengeError)).toEqual(wrongPassword)
  })

  test('reports a missing field as invalid_request and another grant as unsupported_grant_type', async () => {
    const missing = await refusal(await request('password', { username: 'admin' }))
    expect(missing).toMatchObject({ status: 400, error: 'invalid_request' })
    const other = await refusal(await request('client_credentials', { username: 'admin', password: 'changeme' }))
    expect(other).toMatchObject({ status: 400, error: 'unsupported_grant_type' })
  })

  test('reports an invalid token from /auth/me as a challenge', async () => {
    const me = new URL(`${server.url}/auth/me`)
    const error = await oauth
      .protectedResourceRequest('nonsense', 'GET', me, undefined, null, plain)
      .catch((error: unknown) => error)
    expect(error).toBeInstanceOf(oauth.WWWAuthenticateChallengeError)
    expect((error as oauth.WWWAuthenticateChallengeError).status).toBe(401)
    expect((error as oauth.WWWAuthenticateChallengeError).cause[0]?.scheme).toBe('bearer')
  })
})

describe('openid-client', () => {
  const configure = () => {
    const metadata = { issuer: server.origin, token_endpoint: `${server.url}/auth/login` }
    const configuration = new openid.Configuration(metadata, 'web', undefined, openid.None())
    openid.allowInsecureRequests(configuration)
    return configuration
  }

  test('signs in and reads /auth/me', async () => {
    const configuration = configure()
    const parameters = { username: 'admin', password: 'changeme' }
    const tokens = await openid.genericGrantRequest(configuration, 'password', parameters)
    expect(tokens.expiresIn()).toBeGreaterThan(1790)
    const me = new URL(`${server.url}/auth/me`)
    const answer = await openid.fetchProtectedResource(configuration, tokens.access_token, me, 'GET')
    expect(await answer.json()).toMatchObject(administrator)
  })

  test('reports a wrong password as a challenge with invalid_grant in its body', async () => {
    const error = await openid
      .genericGrantRequest(configure(), 'password', { username: 'admin', password: 'wrong' })
      .catch((error: unknown) => error)
    expect(error).toBeInstanceOf(openid.WWWAuthenticateChallengeError)
    expect(await body(error as openid.WWWAuthenticateChallengeError)).toEqual(wrongPassword)
  })

  test('reports a missing field as invalid_request', async () => {
    const error = await openid
      .genericGrantRequest(configure(), 'password', { username: 'admin' })
      .catch((error: unknown) => error)
    expect(error).toBeInstanceOf(openid.ResponseBodyError)
    expect(error).toMatchObject({ status: 400, error: 'invalid_request' })
  })

  test('reports an invalid token from /auth/me as a challenge', async () => {
    const me = new URL(`${server.url}/auth/me`)
    const error = await openid
      .fetchProtectedResource(configure(), 'nonsense', me, 'GET')
      .catch((error: unknown) => error)
    expect(error).toBeInstanceOf(openid.WWWAuthenticateChallengeError)
  })
})
