import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { observeAnchors, observeWitnesses } from '../../src/app/anchors/metrics.ts'
import { observeApp, observeAudit, observeServer, observeVerification } from '../../src/app/metrics.ts'
import { commands } from '../../src/cli/commandTable.ts'
import { run } from '../../src/cli/run.ts'
import type { Setting } from '../../src/config/parsers.ts'
import { settings } from '../../src/config/settings.ts'
import { createSequencer } from '../../src/domain/audit/sequencer.ts'
import type { ErrorCode } from '../../src/error.ts'
import { statusOf } from '../../src/http/problem.ts'
import { observeProcess } from '../../src/telemetry/processMetrics.ts'
import {
  apiKeyOutcomes,
  createProductMetrics,
  databaseFailures,
  loginOutcomes,
  refreshOutcomes,
} from '../../src/telemetry/productMetrics.ts'
import type { TestApplication } from '../application.ts'
import { documentOf, type OpenApiDocument, type OpenApiOperation } from '../document.ts'

const source = join(import.meta.dir, '../../src')

/** Returns the machine-readable names that clients, dashboards, scripts and databases depend on. */
export async function readContract(application: TestApplication) {
  return {
    problems: problemStatuses(),
    routes: await readRoutes(application),
    events: readEvents(),
    metrics: await readMetrics(application),
    metricLabelValues: { apiKeyOutcomes, databaseFailures, loginOutcomes, refreshOutcomes },
    commands: readCommands(),
    exitCodes: await readExitCodes(),
    settings: readSettings(),
    columns: await readColumns(application),
    indexes: await readIndexes(application),
  }
}

/** Maps each error code, the last part of a problem's `type`, to its status. */
function problemStatuses(): Record<string, number> {
  const union = /export type ErrorCode =([\s|'a-z_]+)/.exec(readFileSync(join(source, 'error.ts'), 'utf8'))?.[1] ?? ''
  const codes = [...union.matchAll(/'([a-z_]+)'/g)].map(([, code]) => code as ErrorCode)
  return Object.fromEntries(codes.map((code) => [code, statusOf(code)]))
}

async function readRoutes(application: TestApplication) {
  const document = await documentOf(application.http, '/api')
  const codes = Object.keys(problemStatuses())
  const routes = application.http.routes.routes.map(({ method, path }) => {
    const operation = document?.paths[path.replaceAll(/:(\w+)/g, '{$1}')]?.[method.toLowerCase()]
    return [
      `${method} ${path}`,
      operation && document ? describeOperation(operation, codes, document) : 'undocumented',
    ] as const
  })
  return Object.fromEntries(routes.sort(byName))
}

function describeOperation(
  { operationId, parameters, requestBody, responses }: OpenApiOperation,
  codes: string[],
  document: OpenApiDocument,
) {
  const described = Object.entries(responses).map(([status, { content, description }]) => {
    const words = new Set(description?.match(/[a-z_]+/g))
    return [status, status < '400' ? bodiesOf(document, content) : codes.filter((code) => words.has(code)).sort()]
  })
  return {
    operationId,
    parameters: (parameters ?? []).map(({ name, in: place }) => `${place} ${name}`).sort(),
    request: bodiesOf(document, requestBody?.content),
    responses: Object.fromEntries(described),
  }
}

function bodiesOf(
  document: OpenApiDocument,
  content: Readonly<Record<string, { readonly schema: object }>> = {},
): Record<string, string[]> {
  return Object.fromEntries(
    Object.entries(content).map(([type, { schema }]) => [type, fieldsOf(document, schema).sort()]),
  )
}

/** Returns the names of all fields of a schema, nested and referenced ones with a path. */
function fieldsOf(document: OpenApiDocument, schema: object, path = ''): string[] {
  const name = (schema as Nested).$ref?.slice('#/components/schemas/'.length)
  if (name !== undefined) return fieldsOf(document, document.components.schemas[name] ?? {}, path)
  const { properties = {}, items, anyOf = [] } = schema as Nested
  const nested = Object.entries(properties).flatMap(([name, field]) => [
    path + name,
    ...fieldsOf(document, field, `${path}${name}.`),
  ])
  return [
    ...nested,
    ...(items ? fieldsOf(document, items, path) : []),
    ...anyOf.flatMap((option) => fieldsOf(document, option, path)),
  ]
}

interface Nested {
  readonly $ref?: string
  readonly properties?: Readonly<Record<string, object>>
  readonly items?: object
  readonly anyOf?: readonly object[]
}

/**
 * Returns the names of all log events. Each is a literal at its call, so the source has them all.
 */
function readEvents(): string[] {
  const files = [...new Bun.Glob('**/*.ts').scanSync(source)]
  const text = files.map((file) => readFileSync(join(source, file), 'utf8')).join('\n')
  const logged = text.matchAll(/(?:\blog\.(?:debug|info|warn|error)\(\s*|\breadonly event: )'([a-z_.]+)'/g)
  return [...new Set([...logged].map(([, name = '']) => name))].sort()
}

async function readMetrics({ deps, http }: TestApplication): Promise<string[]> {
  const meters = createProductMetrics()
  const stopObserving = observeProcess(meters.registry)
  observeApp(meters.registry, deps, http.keyRing, () => false)
  observeServer(
    meters.registry,
    () => ({ timeline: 1, failovers: 0, lost: 0 }),
    () => ({
      isSynchronous: false,
      synchronousCommit: 'on',
      synchronousStandbyNames: '',
      isFlushed: true,
      standbys: 0,
      standbysInStep: 0,
    }),
  )
  observeAudit(meters.registry, createSequencer(deps, true), deps.clock)
  observeVerification(meters.registry, { state: () => ({ verifiedAt: 0, findings: 0 }) })
  observeAnchors(meters.registry, { state: () => ({ size: 1, lateSince: undefined }) }, deps.clock)
  const witnesses = [{ name: 'w', cosignedAt: 0, failure: undefined }]
  const witnessing = { state: () => ({ witnesses, published: 1, unpublishedSince: undefined }) }
  observeWitnesses(meters.registry, witnessing, deps.clock)
  meters.requestFinished('/health', 'GET', 200, 0.001)
  meters.databaseSucceeded()
  const text = await meters.registry.render()
  stopObserving()
  const labels = (name: string) => {
    const [, braces = ''] = new RegExp(`^${name}(?:_bucket)?\\{(.*)\\}`, 'm').exec(text) ?? []
    return [...braces.matchAll(/([a-z]+)="/g)].map(([, label]) => label)
  }
  return [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)]
    .map(([, name = '', type]) => `${type} ${name}{${labels(name)}}`)
    .sort()
}

function readCommands() {
  const described = commands.map(({ name, arguments: placeholders, flags }) => {
    const options = Object.entries(flags).map(
      ([flag, { value, isRepeatable }]) => `--${flag}${value ? '=' : ''}${isRepeatable ? ' repeatable' : ''}`,
    )
    return [name, { arguments: placeholders.length, flags: options.sort() }] as const
  })
  return Object.fromEntries(described.sort(byName))
}

async function readExitCodes() {
  const exitCode = (argv: readonly string[], environment = {}) =>
    run(argv, {
      environment,
      stdout: () => {},
      stderr: () => {},
      logDescriptor: 1,
    })
  return {
    help: await exitCode(['--help']),
    version: await exitCode(['--version']),
    unknownCommand: await exitCode(['nonsense']),
    unknownFlag: await exitCode(['migrate', '--nonsense']),
    invalidSetting: await exitCode(['migrate'], { PORT: 'nonsense' }),
    // A port without a listener.
    failedHealthcheck: await exitCode(['healthcheck'], { PORT: '1' }),
  }
}

function readSettings() {
  const described = Object.values<Setting<unknown>>(settings).map(
    ({ env, default: text = null, secret = false, emptyMeans = 'unset' }) =>
      [env, { default: text, secret, emptyMeans }] as const,
  )
  return Object.fromEntries(described.sort(byName))
}

async function readColumns({ sql }: TestApplication): Promise<string[]> {
  const rows = await sql(`
    SELECT table_name || '.' || column_name || ' ' || format_type(atttypid, atttypmod)
      || CASE WHEN is_nullable = 'NO' THEN ' NOT NULL' ELSE '' END
      || coalesce(' DEFAULT ' || column_default, '') AS line
    FROM information_schema.columns
    JOIN pg_attribute ON attrelid = format('%I.%I', table_schema, table_name)::regclass AND attname = column_name
    WHERE table_schema = 'public' ORDER BY table_name, column_name`)
  return rows.map(({ line }) => String(line))
}

async function readIndexes({ sql }: TestApplication): Promise<string[]> {
  const rows = await sql(`SELECT indexdef AS line FROM pg_indexes WHERE schemaname = 'public' ORDER BY indexname`)
  return rows.map(({ line }) => String(line))
}

function byName(a: readonly [string, unknown], b: readonly [string, unknown]): number {
  return a[0] < b[0] ? -1 : 1
}
