import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { hasDecodableQuery } from '../../../src/http/edge/requestTarget.ts'
import { openTestApplication, type TestApplication } from '../../application.ts'
import { documentOf } from '../../document.ts'

let application: TestApplication
let token: string
beforeAll(async () => {
  application = await openTestApplication('PostgreSQL')
  await application.sql('UPDATE users SET must_change_password = false')
  token = await application.accessToken()
})
afterAll(() => application.close())

const asAdministrator = (path: string, method = 'GET') =>
  application.call(path, { method, headers: { authorization: `Bearer ${token}` } })

describe('an undecodable query string', () => {
  const queries = [
    '%zz',
    'a=%',
    'a=%f',
    'q=%ff',
    'q=%c3%28',
    'q=%00',
    '%00=q',
    'q=%ED%A0%80',
    'q=%EF%BF%BD',
    'a=1&b=%E0%80',
  ]
  test.each(queries)('%s returns 400 on every kind of route', async (query) => {
    for (const path of ['/users', '/health', '/auth/me', '/nowhere', '/openapi.json']) {
      const response = await application.call(`${path}?${query}`)
      expect(response.status).toBe(400)
      expect(await response.json()).toMatchObject({ type: 'urn:audittrail:problem:invalid_request' })
    }
  })

  test('returns invalid_request in the OAuth format on OAuth endpoints', async () => {
    const response = await application.call('/auth/login?%zz', {
      method: 'POST',
      body: new URLSearchParams({ username: 'admin', password: 'changeme' }),
    })
    expect(response.headers.get('content-type')).toBe('application/json')
    expect(await response.json()).toMatchObject({ status: 400, error: 'invalid_request' })
  })

  test('is distinguished from any encoded text', () => {
    const text = fc.string({ unit: 'binary' }).filter((value) => value.isWellFormed() && !/[\0\ufffd]/.test(value))
    fc.assert(
      fc.property(text, (value) => {
        expect(hasDecodableQuery(`http://localhost/?q=${encodeURIComponent(value)}`)).toBe(true)
        expect(hasDecodableQuery(`http://localhost/%zz?q=${encodeURIComponent(`${value}\0`)}`)).toBe(false)
      }),
    )
    expect(hasDecodableQuery('http://localhost/%zz')).toBe(true)
  })
})

describe('a repeated query parameter', () => {
  test.each([
    ['/users?limit=1&limit=2', 'limit'],
    ['/users?q=a&limit=1&q=b', 'q'],
    ['/users?q=a&%71=b', 'q'],
    ['/users?after&after=', 'after'],
  ])('%s returns 400 and names the parameter', async (path, field) => {
    const response = await asAdministrator(path)
    expect(response.status).toBe(400)
    expect(await response.json()).toMatchObject({ errors: [{ field, message: 'must not be repeated' }] })
    expect((await application.call(path)).status).toBe(401)
  })

  test('returns 400 on every operation of the OpenAPI document', async () => {
    const document = await documentOf(application.http, '/api')
    let asked = 0
    for (const [path, methods] of Object.entries(document?.paths ?? {}))
      for (const [method, { parameters = [] }] of Object.entries(methods))
        for (const { name, in: place, schema } of parameters) {
          if (place !== 'query' || schema.type === 'array') continue
          asked++
          const own = path.slice('/api'.length).replaceAll(/\{\w+\}/g, crypto.randomUUID())
          const response = await asAdministrator(`${own}?${name}=1&${name}=1`, method.toUpperCase())
          expect({ path, name, status: response.status }).toEqual({ path, name, status: 400 })
        }
    expect(asked).toBeGreaterThan(3)
  })

  test('at logout ends no session', async () => {
    expect((await asAdministrator('/auth/logout?all=false&all=true', 'POST')).status).toBe(400)
    expect((await application.me(token)).status).toBe(200)
  })
})

describe('an unknown query parameter', () => {
  test.each([
    '/users?utm_source=x&utm_source=y',
    '/users?__proto__=1&constructor=2',
    '/users?LIMIT=0',
    '/health?_=1&_=2',
  ])('%s is ignored', async (path) => {
    expect((await asAdministrator(path)).status).toBe(200)
  })
})
