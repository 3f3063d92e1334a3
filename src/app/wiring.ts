import type { Config } from '../config/config.ts'
import type { Database } from '../db/database.ts'
import { createAuditKeys } from '../domain/audit/auditKeys.ts'
import { createRecorder } from '../domain/audit/recorder.ts'
import type { Deps } from '../domain/deps.ts'
import { createFailureTally } from '../domain/failureTally.ts'
import { createHashQueue, hashQueueLimits } from '../domain/passwords/hashQueue.ts'
import { createArgon2 } from '../domain/passwords/nativeArgon2.ts'
import { createRejectionWork } from '../domain/passwords/rejectionWork.ts'
import { createUncountedFailures } from '../domain/uncountedFailures.ts'
import type { HttpSettings } from '../http/server.ts'
import type { ProductMetrics } from '../telemetry/productMetrics.ts'
import { version } from '../version.ts'
import { keptCheckpointsOf } from './anchors/anchors.ts'
import { readWitnessPolicy } from './anchors/witnessPolicy.ts'
import type { SecretKeySource } from './secretKey.ts'

/** Returns the dependencies of the domain, including its part of the settings. */
export function wireDeps(
  database: Database,
  config: Config,
  { secretKeys }: Pick<SecretKeySource, 'secretKeys'>,
  {
    log,
    clock,
    monotonicClock,
    metrics,
  }: Pick<Deps, 'log' | 'clock' | 'monotonicClock'> & { readonly metrics: ProductMetrics },
): Deps {
  const hashCost = { memoryKib: config.passwordMemoryKib, timeCost: config.passwordTimeCost }
  const limits = hashQueueLimits(config.passwordConcurrency, hashCost, config.databaseUrl ? 'server' : 'embedded')
  const argon2 = createArgon2(log, config.nativeArgon2 === 'on')
  return {
    database,
    clock,
    monotonicClock,
    log,
    audit: createRecorder(createAuditKeys(secretKeys, auditOriginOf(config)), clock, monotonicClock),
    readKept: keptCheckpointsOf(config.auditCheckpointFile),
    witnesses: readWitnessPolicy(config.auditWitnesses),
    hashQueue: createHashQueue(limits, monotonicClock, metrics),
    argon2,
    rejectionWork: createRejectionWork(argon2, hashCost, limits.memory),
    uncountedFailures: createUncountedFailures(),
    failureTally: createFailureTally(),
    metrics,
    settings: {
      hashCost,
      passwordMinLength: config.passwordMinLength,
      accessTokenSeconds: config.accessTokenExpireMinutes * 60,
      refreshLifetimeDays: config.refreshTokenExpireDays,
      sessionIdleDays: config.sessionIdleDays,
      browserSessionHours: config.sessionHours,
      browserIdleMinutes: config.sessionIdleMinutes,
      keys: {
        algorithm: config.algorithm,
        rotationDays: config.keyRotationDays,
        secretKeys,
      },
    },
  }
}

/** Returns the name of a new audit log by the URL it belongs to, if ISSUER is one. */
function auditOriginOf({ issuer, basePath }: Pick<Config, 'issuer' | 'basePath'>): string | undefined {
  const url = URL.parse(issuer)
  const isWeb = url?.protocol === 'https:' || url?.protocol === 'http:'
  return isWeb ? `${url.host}${url.pathname.replace(/\/$/, '')}${basePath}/audit/log` : undefined
}

export function httpSettingsOf(config: Config): HttpSettings {
  const { basePath, issuer, audience, trustedProxies, corsOrigins } = config
  const docs = config.docs === 'on' ? { version } : undefined
  const pages = config.pages === 'on' ? { title: config.pageTitle, publicOrigins: config.publicOrigins } : undefined
  return { basePath, issuer, audience, trustedProxies, corsOrigins, docs, pages }
}
