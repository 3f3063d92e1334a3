import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { openTestApplication, type TestApplication } from '../../application.ts'
import { documentOf, type OpenApiDocument, type OpenApiOperation } from '../../document.ts'

let application: TestApplication
let document: OpenApiDocument
beforeAll(async () => {
  application = await openTestApplication('PostgreSQL')
  document = (await documentOf(application.http, '/api')) as OpenApiDocument
})
afterAll(() => application.close())

const page = readFileSync(join(import.meta.dir, '../../../docs/api.md'), 'utf8')

interface Row {
  readonly access: string
  readonly success: string
  readonly errors: string
}

const rows: ReadonlyMap<string, Row> = new Map(
  [...page.matchAll(/^\| `([A-Z]+ \/\S+)` \| (.*) \|$/gm)].map(([, route = '', rest = '']) => {
    const [access = '', success = '', errors = ''] = rest.split('|').map((cell) => cell.trim())
    return [route, { access, success, errors }]
  }),
)

/**
 * Routes that the document leaves out: they serve documents, and one exists only if ISSUER is a
 * URL.
 */
const undocumented = ['GET /docs', 'GET /openapi.json', 'GET /.well-known/oauth-authorization-server']

const common = page.slice(page.indexOf('Besides the errors in the tables'), page.indexOf('The tables use these:'))
const typesIn = (text: string) => [...text.matchAll(/`(\w+)`/g)].map(([, type = '']) => type)
const commonTypes = new Set([...common.matchAll(/^\| \d+ \| `(\w+)` \|/gm)].map(([, type = '']) => type))

function errorsOf({ responses }: OpenApiOperation): string[] {
  const types = Object.values(responses).flatMap(
    ({ description = '' }) => /: (.+)\.$/.exec(description)?.[1]?.split(', ') ?? [],
  )
  return types.filter((type) => !commonTypes.has(type) || type === 'not_found')
}

function scopesOf({ security = [] }: OpenApiOperation): string[] {
  return security.flatMap((way) => ('apiKey' in way ? (way.apiKey as string[]) : []))
}

const operations = () =>
  Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      route: `${method.toUpperCase()} ${path.slice('/api'.length)}`,
      operation,
    })),
  )

describe('docs/api.md', () => {
  test('lists every route of the OpenAPI document', () => {
    const documented = operations().map(({ route }) => route)
    expect([...rows.keys()].sort()).toEqual([...documented, ...undocumented].sort())
  })

  test('has the access, success status and errors of the OpenAPI document', () => {
    for (const { route, operation } of operations()) {
      const { access = '', success = '', errors = '' } = rows.get(route) ?? {}
      expect(`${route} ${access === 'anyone'}`).toBe(`${route} ${operation.security === undefined}`)
      expect({ route, scopes: [...access.matchAll(/`([^`]+)`/g)].map(([, scope]) => scope) }).toEqual({
        route,
        scopes: scopesOf(operation),
      })
      expect(`${route} ${success.slice(0, 3)}`).toBe(`${route} ${Object.keys(operation.responses)[0]}`)
      expect({ route, errors: typesIn(errors).sort() }).toEqual({ route, errors: errorsOf(operation).sort() })
    }
  })
})
