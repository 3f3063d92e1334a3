import { randomBytes } from 'node:crypto'
import type { Algorithm } from '../src/algorithms.ts'
import type { Clock } from '../src/clock.ts'
import { parseDatabaseUrl } from '../src/config/databaseUrl.ts'
import type { LoggedRequests } from '../src/config/loggedRequests.ts'
import { openDatabase } from '../src/db/database.ts'
import { createAvailabilityLog } from '../src/db/pool/availabilityLog.ts'
import { openPool } from '../src/db/pool/pool.ts'
import { type ApiKeyDraft, createApiKey } from '../src/domain/apiKeys/apiKeys.ts'
import { createAuditKeys } from '../src/domain/audit/auditKeys.ts'
import { createRecorder } from '../src/domain/audit/recorder.ts'
import type { Deps, DomainSettings } from '../src/domain/deps.ts'
import { createFailureTally } from '../src/domain/failureTally.ts'
import { ensureSigningKey } from '../src/domain/keys/signingKeys.ts'
import { hashPassword } from '../src/domain/passwords/hashPassword.ts'
import { createHashQueue } from '../src/domain/passwords/hashQueue.ts'
import { createArgon2 } from '../src/domain/passwords/nativeArgon2.ts'
import { createRejectionWork } from '../src/domain/passwords/rejectionWork.ts'
import { createUncountedFailures } from '../src/domain/uncountedFailures.ts'
import { seedAdministrator } from '../src/domain/users/seed.ts'
import { createHttp, type Http, type HttpSettings } from '../src/http/server.ts'
import { createLog } from '../src/telemetry/log.ts'
import { createProductMetrics } from '../src/telemetry/productMetrics.ts'
import { createTraces } from '../src/telemetry/traces.ts'
import { expectDocumented } from './document.ts'
import { emptyEmbedded, type OpenTarget } from './embeddedDatabases.ts'
import { migratedDatabase } from './migratedDatabase.ts'
import { createDatabase } from './postgresql.ts'

export type DatabaseKind = 'PostgreSQL' | 'the embedded database'

/** Tests run on both databases, except in the fast run, which leaves out the slower one. */
export const databaseKinds: readonly DatabaseKind[] = process.env.TEST_FAST
  ? ['PostgreSQL']
  : ['PostgreSQL', 'the embedded database']

/**
 * The application without a socket: migrated and seeded on its own database, with a manual clock.
 */
export interface TestApplication {
  readonly deps: Deps
  readonly http: Http
  /** All log lines, parsed. */
  readonly lines: Record<string, unknown>[]
  readonly secretKey: string
  /** Returns the metrics in the Prometheus text format. */
  metrics(): Promise<string>
  clock: { now: number }
  call(path: string, init?: RequestInit & { readonly address?: string }): Promise<Response>
  login(username?: string, password?: string): Promise<Response>
  accessToken(username?: string, password?: string): Promise<string>
  me(token: string): Promise<Response>
  /** Creates an API key and returns its text. */
  apiKey(draft: Omit<ApiKeyDraft, 'name'> & { readonly name?: string }): Promise<string>
  /** Runs a query on the database directly. */
  sql(query: string): Promise<readonly Record<string, unknown>[]>
  /** Runs a statement in a transaction. Returns a function that commits it. */
  hold(statement: string): Promise<() => Promise<void>>
  close(): Promise<void>
}

/** Low-cost hashes keep the tests fast. */
const hashCost = { memoryKib: 1024, timeCost: 1 }

/** Returns a hash that a login does not replace. */
export function hashOf(password: string): Promise<string> {
  return hashPassword(password, hashCost)
}

const settings: Omit<DomainSettings, 'keys'> = {
  hashCost,
  passwordMinLength: 12,
  accessTokenSeconds: 1800,
  refreshLifetimeDays: 30,
  sessionIdleDays: 14,
  browserSessionHours: 12,
  browserIdleMinutes: 120,
}

export async function openTestApplication(
  kind: DatabaseKind,
  {
    basePath = '/api',
    trustedProxies = [] as readonly string[],
    corsOrigins = [] as readonly string[],
    isDocumented = true,
    pages = { title: 'AuditTrail', publicOrigins: [] } as HttpSettings['pages'] | null,
    timeout = 15_000,
    algorithm = 'HS256' as Algorithm,
    issuer = 'audittrail',
    logged = 'all' as LoggedRequests,
    databaseSql = '',
  } = {},
): Promise<TestApplication> {
  const isCopy = kind === 'PostgreSQL' && databaseSql === ''
  const { target, release } = await openTarget(kind, databaseSql, isCopy ? await migratedDatabase() : undefined)
  // jose sets `iat` by the system clock, and tokens from the future are rejected, so this clock is
  // ahead.
  const manualClock = { now: Date.now() + 600_000 }
  const clock: Clock = () => manualClock.now
  const lines: Record<string, unknown>[] = []
  const traces = createTraces()
  const log = createLog({
    level: 'debug',
    format: 'json',
    now: clock,
    write: (line) => lines.push(JSON.parse(line)),
    context: traces.current,
  })
  const pool = openPool(target, createAvailabilityLog(log, performance.now.bind(performance)))
  const database = openDatabase(pool)
  const metrics = createProductMetrics()
  const hashQueue = createHashQueue({ slots: 2, queue: 200 }, clock, metrics)
  const argon2 = createArgon2(log)
  const secretKey = randomBytes(32).toString('hex')
  const secretKeys = { current: secretKey, previous: [] }
  const keys = { algorithm, rotationDays: 90, secretKeys: () => secretKeys }
  const deps: Deps = {
    database,
    clock,
    monotonicClock: clock,
    log,
    audit: createRecorder(createAuditKeys(keys.secretKeys, 'audittrail/test'), clock, clock),
    hashQueue,
    argon2,
    rejectionWork: createRejectionWork(argon2, settings.hashCost),
    uncountedFailures: createUncountedFailures(),
    failureTally: createFailureTally(),
    settings: { ...settings, keys },
    metrics,
  }
  if (!isCopy) await database.migrate()
  await seedAdministrator(deps, { username: 'admin', fullName: 'Default Admin', password: undefined })
  await ensureSigningKey(deps)
  const docs = isDocumented ? { version: '0.0.0' } : undefined
  const http = createHttp(
    deps,
    { issuer, audience: 'audittrail', basePath, trustedProxies, corsOrigins, docs, pages: pages ?? undefined, timeout },
    clock,
    { requestFinished: metrics.requestFinished, traces, logged },
  )

  const application: TestApplication = {
    deps,
    http,
    lines,
    secretKey,
    metrics: metrics.registry.render,
    clock: manualClock,
    call: async (path, { address = '192.0.2.7', ...init } = {}) => {
      const request = new Request(`http://localhost${basePath}${path}`, init)
      const response = await http.handle(request, address)
      await expectDocumented(http, basePath, request, response.clone() as Response)
      return response
    },
    login: (username = 'admin', password = 'changeme') =>
      application.call('/auth/login', { method: 'POST', body: new URLSearchParams({ username, password }) }),
    accessToken: async (username, password) => {
      const response = await application.login(username, password)
      const { access_token: token } = (await response.json()) as { access_token?: string }
      if (token === undefined) throw new Error(`login returned ${response.status}`)
      return token
    },
    me: (token) => application.call('/auth/me', { headers: { authorization: `Bearer ${token}` } }),
    apiKey: async (draft) => (await createApiKey(deps, 'test', { name: 'machine', ...draft })).text,
    sql: (query) => pool.run(async ({ client }) => client.unsafe(query)),
    hold: async (statement) => {
      const held = Promise.withResolvers<void>()
      const ended = Promise.withResolvers<void>()
      const transaction = pool.run(
        ({ client }) =>
          client.begin(async (session) => {
            await session.unsafe(statement)
            held.resolve()
            await ended.promise
          }),
        'unlimited',
      )
      transaction.catch(held.reject)
      await held.promise
      return async () => {
        ended.resolve()
        await transaction
      }
    },
    close: async () => {
      await database.close()
      await release()
    },
  }
  return application
}

/**
 * Opens a new database of the given kind. On a server, copies `template` and runs `sql` there
 * before.
 */
export async function openTarget(kind: DatabaseKind, sql = '', template?: string): Promise<OpenTarget> {
  if (kind === 'the embedded database') return emptyEmbedded()
  const address = parseDatabaseUrl(await createDatabase(sql, template))
  return { target: { kind: 'server', address, poolSize: 4 }, release: async () => {} }
}
