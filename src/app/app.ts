import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Clock } from '../clock.ts'
import type { Config } from '../config/config.ts'
import { parseDatabaseUrl } from '../config/databaseUrl.ts'
import type { Database } from '../db/database.ts'
import { holdDataDirectory, makeDataDirectory, refuseOthersFiles } from '../db/embedded/dataDirectory.ts'
import type { OpenTarget } from '../db/embedded/target.ts'
import type { AvailabilityObserver } from '../db/pool/availabilityLog.ts'
import type { DatabaseTarget } from '../db/pool/connection.ts'
import type { Deps } from '../domain/deps.ts'
import { ensureSigningKey, maintainKeys } from '../domain/keys/signingKeys.ts'
import { createHashQueue, hashQueueLimits } from '../domain/passwords/hashQueue.ts'
import { sweepExpiredFailures, sweepExpiredSessions } from '../domain/sessions/sweep.ts'
import { type Administrator, seedAdministrator, warnOfSeededPasswords } from '../domain/users/seed.ts'
import { AppError } from '../error.ts'
import type { Instrumentation } from '../http/edge/accessLog.ts'
import type { Http, HttpSettings } from '../http/server.ts'
import { lowerThreadPriority } from '../system/threadPriority.ts'
import { describeError, type Log } from '../telemetry/log.ts'
import { createProductMetrics, type ProductMetrics } from '../telemetry/productMetrics.ts'
import { version } from '../version.ts'
import { secretKeysOf } from './secretKey.ts'

// Drizzle, Elysia and the embedded engine are imported when they are needed: a process listens, and says that it is alive,
// before they are loaded.

/** The product, opened and wired, not yet listening and its database not yet asked. */
export interface App {
  readonly deps: Deps
  readonly administrator: Administrator
  close(): Promise<void>
}

export interface AppEnvironment {
  readonly log: Log
  readonly clock: Clock
  /** Called once when the embedded database has died: nothing can go on, and the process should end. */
  readonly onDatabaseLost: (reason: string) => void
  /** Told how the database does. A command has none: it says itself what it has met. */
  readonly availabilityObserver?: AvailabilityObserver
  /** What the work is counted in, where somebody asks. */
  readonly metrics?: ProductMetrics
}

/** The embedded database's place in DATA_DIR. */
const databaseFolder = 'postgresql'

/** The place that a process has taken for itself: DATA_DIR where the database is embedded, else nothing. */
export interface Claim {
  readonly directory: string | undefined
  readonly release: () => void
}

/** Attempts to take DATA_DIR, and milliseconds between them: a command has it for half a second. */
const claiming = { attempts: 6, pause: 250 }

/**
 * Takes DATA_DIR where the database is embedded. Throws `refused`, naming the holder, while another process has it, and where
 * the database is another user's: what we would leave there, that user could not read.
 */
export async function claimDataDirectory(config: Config): Promise<Claim> {
  if (config.databaseUrl) return { directory: undefined, release: () => {} }
  const directory = resolve(config.dataDir)
  makeDataDirectory(directory)
  refuseOthersFiles(join(directory, databaseFolder))
  for (let attempt = 1; ; attempt++) {
    try {
      return { directory, release: holdDataDirectory(directory) }
    } catch (error) {
      if (attempt === claiming.attempts) throw error
      await Bun.sleep(claiming.pause)
    }
  }
}

/** Whether a command would find a database there, and not make one by being started in the wrong place. */
export function hasDatabase(config: Config): boolean {
  return config.databaseUrl !== undefined || existsSync(join(config.dataDir, databaseFolder))
}

/** Opens the database, in the place that was taken for it. Nothing is asked of it yet. */
export async function openApp(
  config: Config,
  claim: Claim,
  {
    log,
    clock,
    onDatabaseLost,
    availabilityObserver: databaseWatch,
    metrics: meters = createProductMetrics(),
  }: AppEnvironment,
): Promise<App> {
  const { target, lost, close } = await openTarget(config, claim, log)
  lost.then(onDatabaseLost)
  const { openPool } = await import('../db/pool/pool.ts')
  const { openDatabase } = await import('../db/database.ts')
  const database = openDatabase(openPool(target, databaseWatch))
  return {
    deps: wireDeps(database, config, { log, clock, meters }),
    administrator: {
      username: config.adminUsername,
      fullName: config.adminFullName,
      password: config.adminPassword,
    },
    close: async () => {
      // Nobody is left to take leave of a database that has died.
      await Promise.race([database.close(), lost])
      await close()
      claim.release()
    },
  }
}

function wireDeps(
  database: Database,
  config: Config,
  { log, clock, meters }: Pick<Deps, 'log' | 'clock'> & { meters: ProductMetrics },
): Deps {
  const hashCost = { memoryKib: config.passwordMemoryKib, timeCost: config.passwordTimeCost }
  return {
    database,
    clock,
    log,
    hashQueue: createHashQueue(hashQueueLimits(config.passwordConcurrency, hashCost), clock, meters),
    metrics: meters,
    settings: {
      hashCost,
      passwordMinLength: config.passwordMinLength,
      accessTokenSeconds: config.accessTokenExpireMinutes * 60,
      refreshLifetimeDays: config.refreshTokenExpireDays,
      sessionIdleDays: config.sessionIdleDays,
      keys: {
        algorithm: config.algorithm,
        rotationDays: config.keyRotationDays,
        secretKeys: secretKeysOf(config, log),
      },
    },
  }
}

/** The HTTP side of an opened app. */
export async function openHttp(
  { deps }: App,
  config: Config,
  isEnding: () => boolean,
  observation?: Instrumentation,
): Promise<Http> {
  const { createHttp } = await import('../http/server.ts')
  return createHttp(deps, { ...httpSettings(config), isEnding }, deps.clock, observation)
}

function httpSettings(config: Config): HttpSettings {
  const { basePath, issuer, audience, trustedProxies, corsOrigins } = config
  const docs = config.docs === 'on' ? { version } : undefined
  return { basePath, issuer, audience, trustedProxies, corsOrigins, docs }
}

/** The OpenAPI document of the product as it is set, without opening anything: a pool that nobody asks connects to nothing. */
export async function readOpenApiDocument(
  config: Config,
  { log, clock }: Omit<AppEnvironment, 'onDatabaseLost'>,
): Promise<string> {
  const { openPool } = await import('../db/pool/pool.ts')
  const { openDatabase } = await import('../db/database.ts')
  const { createHttp } = await import('../http/server.ts')
  const address = parseDatabaseUrl('postgresql://nobody@localhost/nothing')
  const database = openDatabase(openPool({ kind: 'server', address, poolSize: 1 }))
  const meters = createProductMetrics()
  const deps = wireDeps(database, { ...config, secretKey: 'signs nothing' }, { log, clock, meters })
  const http = createHttp(deps, httpSettings({ ...config, docs: 'on' }), clock)
  const response = await http.handle(new Request(`http://localhost${config.basePath}/openapi.json`))
  return JSON.stringify(await response.json(), undefined, 2)
}

/** Migrates and seeds: what the first start does, and every later one finds done. Answers whether it seeded. */
export async function prepareDatabase({ deps, administrator }: App): Promise<boolean> {
  await migrateDatabase({ deps })
  return seedAdministrator(deps, administrator)
}

/** Seconds between attempts to reach the database at start: from, to. */
const retryDelay = { first: 0.25, longest: 2 }

/**
 * The same, again and again while the database cannot be reached, and then the keys, and a word in the log about seeded
 * passwords. False when `isEnding` says that the process was told to end meanwhile; throws what only a person can mend.
 */
export async function prepareDatabaseWithRetries(app: App, isEnding: () => boolean): Promise<boolean> {
  for (let delay = retryDelay.first; !isEnding(); delay = Math.min(delay * 2, retryDelay.longest)) {
    try {
      const seeded = await prepareDatabase(app)
      await ensureSigningKey(app.deps)
      await warnOfSeededPasswords(app.deps, app.administrator, seeded)
      return true
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'unavailable') throw error
      await Bun.sleep(delay * 1000)
    }
  }
  return false
}

/** Milliseconds between two rounds of housekeeping. */
const housekeepingInterval = 60_000

/** Sweeps dead sessions and forgotten failures and keeps the keys, now and every minute, in the background; answers how to stop it. */
export function startHousekeeping({ deps }: Pick<App, 'deps'>): () => void {
  let isEnding = false
  const round = async () => {
    try {
      await lowerThreadPriority()
      await maintainKeys(deps)
      const swept = await sweepExpiredSessions(deps, () => isEnding)
      if (swept > 0) deps.log.info('sessions.swept', { swept })
      await sweepExpiredFailures(deps, () => isEnding)
    } catch (error) {
      deps.log.warn('housekeeping.failed', describeError(error))
    }
  }
  void round()
  const timer = setInterval(round, housekeepingInterval)
  return () => {
    isEnding = true
    clearInterval(timer)
  }
}

/** Brings the schema up to this binary. Answers how many migrations that took. */
export async function migrateDatabase({ deps }: Pick<App, 'deps'>): Promise<number> {
  const { applied, adopted } = await deps.database.migrate()
  if (adopted)
    deps.log.info('database.adopted', { detail: 'the existing table "users" was taken over with all its rows' })
  if (applied > 0) deps.log.info('database.migrated', { applied })
  const { newer } = await deps.database.migrationStatus()
  if (newer > 0)
    deps.log.info('database.newer', { newer, detail: 'a newer version was here; this one works beside it' })
  return applied
}

async function openTarget(config: Config, { directory }: Claim, log: Log): Promise<OpenTarget> {
  if (config.databaseUrl) {
    const target: DatabaseTarget = { kind: 'server', address: config.databaseUrl, poolSize: config.databasePoolSize }
    return { target, lost: new Promise(() => {}), close: async () => {} }
  }
  const { openEmbeddedTarget } = await import('../db/embedded/target.ts')
  return openEmbeddedTarget(`${directory}/${databaseFolder}`, log)
}
