import fc from 'fast-check'
import type { OpenApiDocument, OpenApiOperation } from '../document.ts'
import { bodyFor, bytes, nastyText, text } from './fuzzBodies.ts'

export interface Operation {
  readonly method: string
  /** As in the document: `/api/users/{id}`. */
  readonly path: string
  readonly operation: OpenApiOperation
}

export interface Attempt {
  readonly method: string
  readonly target: string
  readonly headers: readonly (readonly [string, string])[]
  readonly body: Uint8Array | undefined
}

export function operationsOf(document: OpenApiDocument): readonly Operation[] {
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ method: method.toUpperCase(), path, operation })),
  )
}

const rawPart = fc.constantFrom(
  '%zz',
  '%',
  '%00',
  '%ff',
  '%c0%af',
  '%ED%A0%80',
  '..',
  '%2e%2e',
  '%2f',
  ';',
  ',',
  '*',
  '~',
)
const encoded = text.map((value) => encodeURIComponent(value.toWellFormed()))

/** `ids` name a resource that exists or used to exist. */
function pathPart(ids: readonly string[]): fc.Arbitrary<string> {
  return fc.oneof({ weight: 3, arbitrary: fc.constantFrom(...ids) }, fc.uuid(), encoded, rawPart)
}

function queryOf(names: readonly string[]): fc.Arbitrary<string> {
  const name = fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom(...names, 'utm_source') },
    { weight: 1, arbitrary: encoded },
  )
  const value = fc.oneof({ weight: 3, arbitrary: encoded }, { weight: 1, arbitrary: rawPart })
  const pair = fc.oneof(
    fc.tuple(name, value).map(([left, right]) => `${left}=${right}`),
    name,
    fc.constant(''),
  )
  return fc.oneof(
    fc.constant(''),
    fc.array(pair, { minLength: 1, maxLength: 4 }).map((pairs) => `?${pairs.join('&')}`),
  )
}

const oddMediaTypes = [
  'application/json',
  'application/json; charset=utf-16',
  'APPLICATION/JSON',
  'application/x-www-form-urlencoded',
  'multipart/form-data; boundary=b',
  'multipart/form-data',
  'text/plain',
  'application/xml',
  '',
  ',;=',
]
/** Any header value that the platform accepts: bytes without CR, LF and NUL. */
const headerValue = fc.oneof(bytes, nastyText).map((value) => [...value].filter(isHeaderCharacter).join('').trim())
const isHeaderCharacter = (character: string) => !'\0\r\n'.includes(character) && character <= '\xff'
const headerName = fc.constantFrom(
  'x-request-id',
  'user-agent',
  'cookie',
  'origin',
  'accept',
  'accept-encoding',
  'content-encoding',
  'range',
  'if-none-match',
  'if-modified-since',
  'x-forwarded-for',
  'x-forwarded-proto',
  'x-http-method-override',
  'access-control-request-method',
  'host',
)

/** A documented operation with random path, query, headers and body. */
export function attemptAt({ method, path, operation }: Operation, ids: readonly string[]): fc.Arbitrary<Attempt> {
  const queryNames = (operation.parameters ?? []).filter(({ in: place }) => place === 'query').map(({ name }) => name)
  const methods = fc.oneof(
    { weight: 8, arbitrary: fc.constant(method) },
    { weight: 1, arbitrary: fc.constantFrom('GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND') },
  )
  const suitable = Object.keys(operation.requestBody?.content ?? { '': 0 })
  const bodies = new Map([...suitable, ...oddMediaTypes].map((type) => [type, bodyFor(operation, type)]))
  const others = fc.uniqueArray(fc.tuple(headerName, headerValue), { maxLength: 3, selector: ([name]) => name })
  const content = fc
    .oneof(
      { weight: 5, arbitrary: fc.constantFrom(...suitable) },
      { weight: 1, arbitrary: fc.constantFrom(...oddMediaTypes) },
    )
    .chain((type) => fc.tuple(fc.constant(withBoundary(type)), bodies.get(type) ?? fc.constant(new Uint8Array())))
  return fc
    .record({
      method: methods,
      part: pathPart(ids),
      query: queryOf(queryNames),
      content,
      others: fc.oneof({ weight: 2, arbitrary: fc.constant([]) }, { weight: 1, arbitrary: others }),
    })
    .map(({ method: own, part, query, content: [type, body], others: more }) => ({
      method: own,
      target: path.replaceAll(/\{\w+\}/g, () => part) + query,
      headers: [...(type === '' ? [] : [['content-type', type] as const]), ...more],
      body: ['GET', 'HEAD'].includes(own) ? undefined : body,
    }))
}

function withBoundary(type: string): string {
  return type === 'multipart/form-data' ? `${type}; boundary=b` : type
}

/** A raw request with bytes changed, removed or inserted. */
export function bytesOf(attempt: fc.Arbitrary<Attempt>): fc.Arbitrary<Uint8Array> {
  const edits = fc.array(
    fc.record({
      at: fc.nat(),
      remove: fc.nat(3),
      insert: fc.oneof(
        bytes.map((b) => b.slice(0, 4)),
        fc.constantFrom('\r\n', '\0', '\n', ':', ' '),
      ),
    }),
    { maxLength: 3 },
  )
  return fc.tuple(attempt, edits).map(([{ method, target, headers, body = new Uint8Array() }, changes]) => {
    const lines = headers.filter(([name]) => name !== 'host').map(([name, value]) => `${name}: ${value}`)
    const head = [
      `${method} ${target} HTTP/1.1`,
      'Host: localhost',
      'Connection: close',
      `Content-Length: ${body.length}`,
    ]
    let raw = Buffer.concat([Buffer.from([...head, ...lines, '', ''].join('\r\n'), 'latin1'), body])
    for (const { at, remove, insert } of changes) {
      const start = at % raw.length
      raw = Buffer.concat([raw.subarray(0, start), Buffer.from(insert, 'latin1'), raw.subarray(start + remove)])
    }
    return new Uint8Array(raw)
  })
}
