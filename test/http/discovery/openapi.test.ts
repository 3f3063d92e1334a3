import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { Validator } from '@seriousme/openapi-schema-validator'
import { openRoutes } from '../../../src/http/routes.ts'
import { openTestApplication, type TestApplication } from '../../application.ts'
import { documentOf, type OpenApiDocument, schemaErrorsOf } from '../../document.ts'

let application: TestApplication
let document: OpenApiDocument
beforeAll(async () => {
  application = await openTestApplication('PostgreSQL')
  document = (await documentOf(application.http, '/api')) as OpenApiDocument
})
afterAll(() => application.close())

const operations = () =>
  Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      route: `${method.toUpperCase()} ${path.slice('/api'.length)}`,
      operation,
    })),
  )

describe('OpenAPI document', () => {
  test('is valid OpenAPI 3.1', async () => {
    const outcome = await new Validator().validate({ ...structuredClone(document) })
    expect(outcome).toMatchObject({ valid: true })
    expect(document.openapi).toBe('3.1.0')
  })

  test('lists exactly the served routes', () => {
    const served = application.http.routes.routes
      .filter(({ hooks }) => hooks.detail?.hide !== true)
      .map(({ method, path }) => `${method} ${path.slice('/api'.length).replaceAll(/:(\w+)/g, '{$1}')}`)
    expect(
      operations()
        .map(({ route }) => route)
        .sort(),
    ).toEqual(served.sort())
  })

  test('describes each route, and requires credentials exactly where the route does', () => {
    const open: readonly string[] = Object.values(openRoutes).flat()
    for (const { route, operation } of operations()) {
      expect(operation.operationId).toMatch(/^[a-z][A-Za-z]+$/)
      expect(operation.summary.length).toBeGreaterThan(5)
      expect(operation.description.length).toBeGreaterThan(10)
      expect({ route, isLocked: operation.security !== undefined }).toEqual({
        route,
        isLocked: !open.includes(route),
      })
    }
  })

  test('has a valid example for each success', () => {
    for (const { operation } of operations()) {
      for (const [status, response] of Object.entries(operation.responses)) {
        for (const media of Object.values(response.content ?? {})) {
          if (status.startsWith('2')) expect(schemaErrorsOf(document, media.schema, media.example)).toEqual([])
        }
      }
    }
  })

  test('lists exactly the media types of login', () => {
    expect(Object.keys(document.paths['/api/auth/login']?.post?.requestBody?.content ?? {})).toEqual([
      'application/x-www-form-urlencoded',
      'multipart/form-data',
      'application/json',
    ])
  })

  test('names its schemas, and each reference resolves', () => {
    const { schemas } = document.components
    expect(Object.keys(schemas)).toEqual(
      expect.arrayContaining(['User', 'Me', 'Tokens', 'Session', 'ApiKey', 'Lockout', 'CurrentSession', 'Problem']),
    )
    const references = [...JSON.stringify(document).matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g)]
    expect(references.map(([, name = '']) => name).filter((name) => !(name in schemas))).toEqual([])
    const unused = Object.keys(schemas).filter((name) => !references.some(([, used]) => used === name))
    expect(unused).toEqual([])
  })

  test.each(['User', 'Me', 'Tokens', 'Session', 'ApiKey', 'Lockout'])('limits %s by pattern and length', (name) => {
    const text = JSON.stringify(document.components.schemas[name])
    expect(text).toContain('"pattern"')
    expect(text).toMatch(/"m(in|ax)Length"/)
  })

  test('has the rules of the fields in requests', () => {
    const bodyOf = (path: string) => {
      const content = document.paths[`/api${path}`]?.post?.requestBody?.content['application/json']
      return (content?.schema ?? {}) as { properties?: object }
    }
    expect(bodyOf('/users').properties).toMatchObject({
      username: { type: 'string', pattern: '^[A-Za-z0-9._@+-]{1,50}$', minLength: 1, maxLength: 50 },
      full_name: { minLength: 1, maxLength: 100 },
      password: { minLength: 1, maxLength: 1024 },
      roles: { maxItems: 32, items: { pattern: '^[a-z0-9_-]{1,32}$', minLength: 1, maxLength: 32 } },
    })
    expect(bodyOf('/api-keys').properties).toMatchObject({
      name: { pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,49}$', minLength: 1, maxLength: 50 },
      scopes: { items: { pattern: '^(introspect|users:read|users:write|audit:read)$' } },
      roles: { items: { pattern: '^[a-z0-9_-]{1,32}$' } },
    })
    expect(bodyOf('/auth/password').properties).toMatchObject({ new_password: { minLength: 1, maxLength: 1024 } })
  })

  test('accepts what the API accepts: lengths count characters, not UTF-16 units', async () => {
    const schema = document.paths['/api/users']?.post?.requestBody?.content['application/json']?.schema ?? {}
    const body = { username: 'emoji', full_name: '🙂'.repeat(100), roles: ['staff'] }
    expect(schemaErrorsOf(document, schema, body)).toEqual([])
    await application.sql(`UPDATE users SET must_change_password = false`)
    const headers = { authorization: `Bearer ${await application.accessToken()}`, 'content-type': 'application/json' }
    const response = await application.call('/users', { method: 'POST', headers, body: JSON.stringify(body) })
    expect(response.status).toBe(201)
  })

  test('follows BASE_PATH', async () => {
    const atRoot = await openTestApplication('PostgreSQL', { basePath: '' })
    const moved = await documentOf(atRoot.http, '')
    expect(Object.keys(moved?.paths ?? {})).toContain('/auth/login')
    expect(JSON.stringify(moved)).toContain('"tokenUrl":"/auth/login"')
    await atRoot.close()
  })

  test('does not exist with DOCS=off, nor does the docs page', async () => {
    const undocumented = await openTestApplication('PostgreSQL', { isDocumented: false })
    for (const path of ['/docs', '/openapi.json', '/docs/page.js'])
      expect((await undocumented.call(path)).status).toBe(404)
    await undocumented.close()
  })
})

describe('docs page', () => {
  test('allows no external and no inline content', async () => {
    const response = await application.call('/docs')
    expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8')
    const policy = response.headers.get('content-security-policy') ?? ''
    expect(policy).toContain("default-src 'none'")
    expect(policy).not.toContain('unsafe')
    const page = await response.text()
    expect(page).not.toMatch(/https?:\/\/|<script>|<style|style=| on\w+=/)
  })

  test('redirects from a path with a trailing slash', async () => {
    const response = await application.call('/docs/')
    expect(response.status).toBe(308)
    expect(response.headers.get('location')).toBe('../docs')
  })

  test.each(['/docs/swagger-ui-bundle.js', '/docs/swagger-ui.css'])('serves %s with and without gzip', async (path) => {
    const plain = await application.call(path)
    const packed = await application.call(path, { headers: { 'accept-encoding': 'br, gzip' } })
    expect(packed.headers.get('content-encoding')).toBe('gzip')
    expect(plain.headers.get('content-encoding')).toBeNull()
    expect(Bun.gunzipSync(await packed.arrayBuffer()).length).toBe((await plain.bytes()).length)
  })
})
