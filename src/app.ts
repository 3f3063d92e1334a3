import { resolve } from 'node:path'
import type { Clock } from './clock.ts'
import type { Config } from './config.ts'
import { connect, type DatabaseTarget } from './db/connection.ts'
import { openDatabase } from './db/database.ts'
import { holdDataDirectory, makeDataDirectory, readOrMakeSecretKey } from './db/dataDirectory.ts'
import { openEmbedded } from './db/embedded.ts'
import type { Deps } from './domain/deps.ts'
import { type Administrator, seedAdministrator, warnOfSeededPasswords } from './domain/seed.ts'
import { createHttp, type Http } from './http/server.ts'
import type { Log } from './log.ts'

/** The product, opened and wired, not yet listening and its database not yet asked. */
export interface App {
  readonly deps: Deps
  readonly administrator: Administrator
  close(): Promise<void>
}

export interface Surroundings {
  readonly log: Log
  readonly clock: Clock
  /** Called once when the embedded database has died: nothing can go on, and the process should end. */
  readonly onDatabaseLost: (reason: string) => void
}

/** Takes the data directory where the database is embedded, and opens the database. Throws `refused` where it cannot. */
export function openApp(config: Config, { log, clock, onDatabaseLost }: Surroundings): App {
  const { target, release } = openTarget(config, onDatabaseLost)
  const database = openDatabase(connect(target))
  const deps: Deps = {
    database,
    clock,
    log,
    hashCost: { memoryKib: config.passwordMemoryKib, timeCost: config.passwordTimeCost },
    accessTokenSeconds: config.accessTokenExpireMinutes * 60,
  }
  return {
    deps,
    administrator: {
      username: config.adminUsername,
      fullName: config.adminFullName,
      password: config.adminPassword,
    },
    close: async () => {
      await database.close()
      await release()
    },
  }
}

/** The HTTP side of an opened app. */
export function openHttp({ deps }: App, config: Config): Http {
  const settings = {
    basePath: config.basePath,
    issuer: config.issuer,
    audience: config.audience,
    trustedProxies: config.trustedProxies,
    secretKey: config.secretKey ?? secretKeyOfDataDirectory(config, deps.log),
  }
  return createHttp(deps, settings, deps.clock)
}

/** Migrates and seeds: what the first start does, and every later one finds done. Answers whether it seeded. */
export async function prepareDatabase({ deps, administrator }: App): Promise<boolean> {
  await migrateDatabase({ deps })
  const seeded = await seedAdministrator(deps, administrator)
  await warnOfSeededPasswords(deps, administrator, seeded)
  return seeded
}

/** Brings the schema up to this binary. Answers how many migrations that took. */
export async function migrateDatabase({ deps }: Pick<App, 'deps'>): Promise<number> {
  const { applied, adopted } = await deps.database.migrate()
  if (adopted)
    deps.log.info('database.adopted', { detail: 'the existing table "users" was taken over with all its rows' })
  if (applied > 0) deps.log.info('database.migrated', { applied })
  return applied
}

interface OpenTarget {
  readonly target: DatabaseTarget
  readonly release: () => Promise<void>
}

function openTarget(config: Config, onDatabaseLost: (reason: string) => void): OpenTarget {
  if (config.databaseUrl) {
    const target: DatabaseTarget = { kind: 'server', address: config.databaseUrl, poolSize: config.databasePoolSize }
    return { target, release: async () => {} }
  }
  const directory = resolve(config.dataDir)
  makeDataDirectory(directory)
  const letGo = holdDataDirectory(directory)
  const opening = openEmbedded(`${directory}/postgresql`, onDatabaseLost)
  // Whoever first asks the database is told why it did not open.
  opening.catch(() => {})
  return {
    target: { kind: 'embedded', socket: async () => (await opening).socket() },
    release: async () => {
      await opening.then((embedded) => embedded.close()).finally(letGo)
    },
  }
}

function secretKeyOfDataDirectory(config: Config, log: Log): string {
  const directory = resolve(config.dataDir)
  makeDataDirectory(directory)
  if (config.databaseUrl) {
    log.warn('secret_key.local', {
      detail:
        'SECRET_KEY is not set: tokens are signed with DATA_DIR/secret.key of this machine, which other replicas do not have',
    })
  }
  return readOrMakeSecretKey(directory)
}
