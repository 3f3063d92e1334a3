import type { Clock } from '../clock.ts'
import type { Config } from '../config/config.ts'
import type { OpenTarget } from '../db/embedded/target.ts'
import type { Failover } from '../db/failover/failover.ts'
import type { AvailabilityObserver } from '../db/pool/availabilityLog.ts'
import type { DatabaseTarget } from '../db/pool/connection.ts'
import { recordingOfRepetition } from '../domain/accountStates/repeatedChanges.ts'
import { createSequencer, type Sequencer } from '../domain/audit/sequencer.ts'
import type { Deps } from '../domain/deps.ts'
import type { Administrator } from '../domain/users/seed.ts'
import { createRegularVerification, type RegularVerification } from '../domain/verifiedLog/regular.ts'
import type { Witnessing } from '../domain/witnesses/witnessing.ts'
import type { Instrumentation } from '../http/edge/accessLog.ts'
import type { Http } from '../http/server.ts'
import type { Log } from '../telemetry/log.ts'
import { createProductMetrics, type ProductMetrics } from '../telemetry/productMetrics.ts'
import { type Anchors, createAnchors } from './anchors/anchors.ts'
import { wireWitnessing } from './anchors/witnessing.ts'
import { createDatabaseClock, createSynchronization } from './databaseClock.ts'
import type { DataDirectoryClaim } from './dataDirectoryClaim.ts'
import { createSecretKeySource, hasSecretKey } from './secretKey.ts'
import { httpSettingsOf, wireDeps } from './wiring.ts'

// Drizzle, Elysia and the embedded engine are imported on use: a server listens and reports that it
// is alive before they are loaded.

/** The wired product. It does not listen, and nothing has been sent to its database. */
export interface App {
  readonly deps: Deps
  readonly administrator: Administrator
  readonly failover: Failover
  readonly sequencer: Sequencer
  readonly anchors: Anchors
  readonly verification: RegularVerification
  /** Undefined without AUDIT_WITNESSES. */
  readonly witnessing: Witnessing | undefined
  /** Reads the time of the database, which `deps.clock` returns from then on. */
  synchronizeClock(): Promise<void>
  /** Chooses the reading of SECRET_KEY that the database was used with, by its fingerprint. */
  readonly settleSecretKey: (fingerprint: string | null) => void
  /** Keeps what this process has created in DATA_DIR, whatever fails from now on. */
  readonly keepFiles: () => void
  /** Whether SECRET_KEY is set or DATA_DIR had a key, so that this process did not create one. */
  readonly hasSecretKey: boolean
  close(): Promise<void>
}

export interface AppEnvironment {
  readonly log: Log
  /** The time of this machine, in milliseconds since the epoch. */
  readonly wallClock: Clock
  readonly monotonicClock: Clock
  /** Called once if the embedded database fails. It does not recover, so the process should end. */
  readonly onDatabaseLost: (reason: string) => void
  /** Undefined for a command, which reports its own failures. */
  readonly availabilityObserver?: AvailabilityObserver
  readonly metrics?: ProductMetrics
}

/**
 * Opens the database and wires the product. The caller releases the claim after closing the app.
 */
export async function openApp(
  config: Config,
  claim: DataDirectoryClaim,
  {
    log,
    wallClock,
    monotonicClock,
    onDatabaseLost,
    availabilityObserver,
    metrics = createProductMetrics(),
  }: AppEnvironment,
): Promise<App> {
  const { target, lost, close } = await openTarget(config, claim, log)
  lost.then(onDatabaseLost)
  const { openPool } = await import('../db/pool/pool.ts')
  const { openDatabase } = await import('../db/database.ts')
  const { createFailover } = await import('../db/failover/failover.ts')
  const failover = createFailover(log, monotonicClock)
  const pool = openPool(target, availabilityObserver, monotonicClock, failover.admit)
  if (target.kind === 'server') failover.attach(pool)
  const database = openDatabase(pool, target.kind === 'server' ? failover.changes : undefined)
  const hasKey = hasSecretKey(config)
  const secretKeySource = createSecretKeySource(config, log, claim.created)
  const clock = createDatabaseClock(wallClock, monotonicClock)
  const deps = wireDeps(database, config, secretKeySource, { log, clock: clock.now, monotonicClock, metrics })
  const anchors = createAnchors(config.auditCheckpointFile, { log, monotonicClock })
  failover.recordWith(recordingOfRepetition(deps))
  const sequencer = createSequencer({ ...deps, readAnchor: anchors.readAnchor }, config.databaseUrl !== undefined)
  return {
    deps,
    failover,
    sequencer,
    anchors,
    verification: createRegularVerification(deps),
    witnessing: wireWitnessing(deps, sequencer),
    administrator: {
      username: config.adminUsername,
      fullName: config.adminFullName,
      password: config.adminPassword,
    },
    synchronizeClock: createSynchronization(clock, deps),
    settleSecretKey: secretKeySource.settle,
    keepFiles: claim.created.keep,
    hasSecretKey: hasKey,
    close: async () => {
      failover.stop()
      // A database that has failed cannot be closed in order.
      await Promise.race([database.close(), lost])
      await close()
    },
  }
}

/** Returns the HTTP side of an opened app. */
export async function openHttp(
  { deps }: App,
  config: Config,
  isEnding: () => boolean,
  wallClock: Clock,
  instrumentation?: Instrumentation,
): Promise<Http> {
  const { createHttp } = await import('../http/server.ts')
  return createHttp(deps, { ...httpSettingsOf(config), isEnding }, wallClock, instrumentation)
}

async function openTarget(config: Config, { databaseDirectory }: DataDirectoryClaim, log: Log): Promise<OpenTarget> {
  if (config.databaseUrl) {
    const target: DatabaseTarget = { kind: 'server', address: config.databaseUrl, poolSize: config.databasePoolSize }
    return { target, lost: new Promise(() => {}), close: async () => {} }
  }
  const { openEmbeddedTarget } = await import('../db/embedded/target.ts')
  return openEmbeddedTarget(String(databaseDirectory), log)
}
