import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { openTestApplication, type TestApplication } from '../../application.ts'

let application: TestApplication
beforeAll(async () => {
  application = await openTestApplication('PostgreSQL')
})
afterAll(() => application.close())

const post = (body: string, type = 'application/json', path = '/auth/login') =>
  application.call(path, { method: 'POST', body, headers: { 'content-type': type } })
const urlencoded = 'application/x-www-form-urlencoded'
const problemOf = async (response: Response) => (await response.json()) as Record<string, unknown>

describe('login with JSON', () => {
  test.each([
    ['the credentials', { username: 'admin', password: 'changeme' }],
    ['every field of the form', { grant_type: 'password', username: 'ADMIN', password: 'changeme', client_id: 'web' }],
    ['unknown members, as in a form', { username: 'admin', password: 'changeme', remember_me: true, device: null }],
  ])('accepts %s', async (_what, members) => {
    const response = await post(JSON.stringify(members))
    expect(response.status).toBe(200)
    expect(response.headers.get('cache-control')).toBe('no-store')
    expect(response.headers.get('set-cookie')).toStartWith('audittrail_device=')
    expect(await response.json()).toEqual({ access_token: expect.any(String), token_type: 'bearer', expires_in: 1800 })
  })

  test.each(['application/json; charset=utf-8', 'Application/JSON', 'application/json;charset="utf-8"'])(
    'accepts the media type %s',
    async (type) => {
      expect((await post('{"username":"admin","password":"changeme"}', type)).status).toBe(200)
    },
  )

  test('issues and takes a refresh token', async () => {
    await application.sql(`INSERT INTO users (username, hashed_password, full_name)
      SELECT 'rita', hashed_password, 'Rita' FROM users WHERE username = 'admin'`)
    const first = await post('{"username":"rita","password":"changeme","scope":"offline_access"}')
    const { refresh_token } = (await first.json()) as { refresh_token: string }
    const second = await post(JSON.stringify({ grant_type: 'refresh_token', refresh_token }))
    expect(await second.json()).toMatchObject({ refresh_token: expect.any(String), scope: 'offline_access' })
  })

  test.each([
    ['a missing password', '{"username":"admin"}', 'password'],
    ['no member', '{}', 'username'],
    ['an empty username', '{"username":"","password":"changeme"}', 'username'],
    ['an empty password', '{"username":"admin","password":""}', 'password'],
    ['an empty scope', '{"username":"admin","password":"changeme","scope":""}', 'scope'],
    ['a number as username', '{"username":1,"password":"changeme"}', 'username'],
    ['null as password', '{"username":"admin","password":null}', 'password'],
    ['a list as password', '{"username":"admin","password":["changeme"]}', 'password'],
    ['an object as username', '{"username":{"$ne":""},"password":"changeme"}', 'username'],
    ['a boolean as grant type', '{"username":"admin","password":"changeme","grant_type":true}', 'grant_type'],
  ])('returns 400 invalid_request for %s and names the field', async (_what, body, field) => {
    const response = await post(body)
    expect(response.status).toBe(400)
    expect(response.headers.get('content-type')).toBe('application/json')
    const problem = await problemOf(response)
    expect(problem).toMatchObject({ error: 'invalid_request', errors: [{ field }] })
    expect(problem.detail).toContain(field)
  })

  test.each([
    ['a repeated member', '{"username":"admin","username":"admin","password":"changeme"}'],
    ['a repeated member, once escaped', '{"username":"admin","password":"changeme","pass\\u0077ord":"changeme"}'],
    ['a repeated unknown member', '{"username":"admin","password":"changeme","x":1,"x":1}'],
    ['a list', '[{"username":"admin","password":"changeme"}]'],
    ['a string', '"username=admin&password=changeme"'],
    ['null', 'null'],
    ['a form', 'username=admin&password=changeme'],
    ['a truncated body', '{"username":"admin","password":"chan'],
    ['an empty body', ''],
    ['a NUL', '{"username":"admin\\u0000","password":"changeme"}'],
    ['a lone surrogate', '{"username":"admin","password":"\\ud800"}'],
    ['deep nesting', `{"username":${'['.repeat(20)}${']'.repeat(20)},"password":"changeme"}`],
  ])('returns 400 invalid_request for %s', async (_what, body) => {
    const response = await post(body)
    expect([response.status, response.headers.get('content-type')]).toEqual([400, 'application/json'])
    expect(await problemOf(response)).toMatchObject({ error: 'invalid_request' })
  })

  test('returns the errors of the form for a wrong password, an unknown user and another grant type', async () => {
    for (const [members, error] of [
      [{ username: 'admin', password: 'wrong' }, 'invalid_grant'],
      [{ username: 'unknown', password: 'changeme' }, 'invalid_grant'],
      [{ username: 'admin', password: 'changeme', grant_type: 'client_credentials' }, 'unsupported_grant_type'],
    ] as const) {
      const [json, form] = [
        await post(JSON.stringify(members)),
        await post(String(new URLSearchParams(members)), urlencoded),
      ]
      const [{ request_id: _, ...ofJson }, { request_id: __, ...ofForm }] = [
        await problemOf(json),
        await problemOf(form),
      ]
      expect(ofJson).toEqual(ofForm)
      expect(ofJson).toMatchObject({ error })
      if (error === 'unsupported_grant_type')
        expect(ofJson.detail).toBe('The grant_type of this endpoint must be "password" or "refresh_token".')
      expect(json.headers.get('www-authenticate')).toBe(form.headers.get('www-authenticate'))
    }
  })

  test('shares the throttle with the form', async () => {
    for (let guess = 0; guess < 3; guess++) await post('{"username":"shared","password":"wrong"}')
    for (let guess = 0; guess < 3; guess++) await post('username=shared&password=wrong', urlencoded)
    expect((await post('{"username":"shared","password":"wrong"}')).status).toBe(429)
  })

  test.each(['text/plain', 'application/jsonx', 'application/vnd.api+json', ''])(
    'returns 415 for the media type "%s" and names form and JSON',
    async (type) => {
      const response = await post('{"username":"admin","password":"changeme"}', type)
      expect(response.status).toBe(415)
      const { detail } = await problemOf(response)
      expect(detail).toContain('application/x-www-form-urlencoded')
      expect(detail).toContain('application/json')
    },
  )

  test('is not accepted by the other token endpoints, which say how to send a form', async () => {
    for (const path of ['/auth/refresh', '/auth/revoke']) {
      const response = await post('{"refresh_token":"x","token":"x"}', 'application/json', path)
      expect(response.status).toBe(415)
      expect((await problemOf(response)).detail).not.toContain('application/json')
    }
  })
})
