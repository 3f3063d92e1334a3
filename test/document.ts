import Ajv from 'ajv/dist/2020'
import addFormats from 'ajv-formats'
import type { Http } from '../src/http/server.ts'

/** The parts of an OpenAPI document that the tests read. */
export interface OpenApiDocument {
  readonly openapi: string
  readonly paths: Readonly<Record<string, Readonly<Record<string, OpenApiOperation>>>>
  readonly components: { readonly schemas: Readonly<Record<string, object>> }
}

export interface OpenApiOperation {
  readonly operationId: string
  readonly summary: string
  readonly description: string
  readonly security?: readonly object[]
  readonly parameters?: readonly {
    readonly name: string
    readonly in: 'path' | 'query'
    readonly schema: { readonly type?: string }
  }[]
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: object }>> }
  readonly responses: Readonly<
    Record<
      string,
      {
        readonly description?: string
        readonly content?: Readonly<Record<string, { readonly schema: object; readonly example?: unknown }>>
      }
    >
  >
}

const documents = new WeakMap<Http, OpenApiDocument | undefined>()

export async function documentOf(http: Http, basePath: string): Promise<OpenApiDocument | undefined> {
  if (!documents.has(http)) {
    const response = await http.handle(new Request(`http://localhost${basePath}/openapi.json`))
    documents.set(http, response.ok ? ((await response.json()) as OpenApiDocument) : undefined)
  }
  return documents.get(http)
}

type Validate = ReturnType<Ajv['compile']>

const ajv = new Ajv({ strict: false, allErrors: true })
addFormats(ajv)

/** Compiling a schema takes longer than most requests, so each text of one is compiled once. */
const validators = new Map<string, Validate>()
const validatorsOf = new WeakMap<OpenApiDocument, WeakMap<object, Validate>>()

function validatorOf(document: OpenApiDocument, schema: object): Validate {
  const known = validatorsOf.get(document) ?? new WeakMap<object, Validate>()
  validatorsOf.set(document, known)
  const validate = known.get(schema) ?? compile({ ...schema, components: document.components })
  known.set(schema, validate)
  return validate
}

function compile(schema: object): Validate {
  const text = JSON.stringify(schema)
  const validate = validators.get(text) ?? ajv.compile(schema)
  validators.set(text, validate)
  return validate
}

/**
 * Returns what a value violates in a schema of the document, references included; empty if it fits.
 */
export function schemaErrorsOf(document: OpenApiDocument, schema: object, value: unknown): readonly unknown[] {
  const validate = validatorOf(document, schema)
  return validate(value) ? [] : (validate.errors ?? [])
}

/**
 * Throws unless the OpenAPI document has the status, content type and schema of a response. Every
 * HTTP test calls it, so the document cannot differ from the server.
 */
export async function expectDocumented(
  http: Http,
  basePath: string,
  request: Request,
  response: Response,
): Promise<void> {
  const document = await documentOf(http, basePath)
  const operation = document && findOperation(document, request.method, new URL(request.url).pathname)
  if (!document || !operation) return
  const subject = `${request.method} ${operation.operationId} ${response.status}`
  const documented = operation.responses[response.status]
  if (!documented) throw new Error(`${subject} is not in the document`)
  const text = await response.text()
  if (text === '' && !documented.content) return
  const contentType = response.headers.get('content-type')?.split(';')[0] ?? ''
  const media = documented.content?.[contentType]
  if (!media) throw new Error(`${subject} as ${contentType} is not in the document`)
  const errors = schemaErrorsOf(document, media.schema, contentType.endsWith('json') ? JSON.parse(text) : text)
  if (errors.length > 0) throw new Error(`${subject} does not fit its schema: ${JSON.stringify(errors)}`)
}

/** Returns the operation of a path and a method. */
export function findOperation(document: OpenApiDocument, method: string, path: string): OpenApiOperation | undefined {
  const pattern = Object.keys(document.paths).find((candidate) => fits(candidate, path))
  return pattern === undefined ? undefined : document.paths[pattern]?.[method.toLowerCase()]
}

function fits(pattern: string, path: string): boolean {
  const [expected, actual] = [pattern.split('/'), path.split('/')]
  return (
    expected.length === actual.length && expected.every((part, index) => part.startsWith('{') || part === actual[index])
  )
}
