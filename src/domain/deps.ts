import type { Algorithm } from '../algorithms.ts'
import type { Clock } from '../clock.ts'
import type { Database } from '../db/database.ts'
import type { SecretKeys } from '../secretKeys.ts'
import type { Log } from '../telemetry/log.ts'
import type { ProductMetrics } from '../telemetry/productMetrics.ts'
import type { Source } from './audit/record.ts'
import type { Recorder } from './audit/recorder.ts'
import type { ReadKept } from './auditVerification/keptCheckpoints.ts'
import type { FailureTally } from './failureTally.ts'
import type { Argon2Verifier } from './passwords/argon2.ts'
import type { HashCost } from './passwords/hashCost.ts'
import type { HashQueue } from './passwords/hashQueue.ts'
import type { RejectionWork } from './passwords/rejectionWork.ts'
import type { UncountedFailures } from './uncountedFailures.ts'
import type { Policy } from './witnesses/policy.ts'

/** The dependencies of the use cases, each of which takes them as its first parameter. */
export interface Deps {
  readonly database: Database
  /** The time of the database: see docs/decisions/0019. */
  readonly clock: Clock
  /** Milliseconds since some moment, for durations. Not affected when a clock is set. */
  readonly monotonicClock: Clock
  readonly log: Log
  /** Makes the records of the audit log. */
  readonly audit: Recorder
  /** Reads AUDIT_CHECKPOINT_FILE. */
  readonly readKept?: ReadKept
  /** The witnesses of AUDIT_WITNESSES. */
  readonly witnesses?: Policy | undefined
  /** Where the call comes from. Undefined: from this service itself. */
  readonly source?: Source | undefined
  /** Limits concurrent password hashes. */
  readonly hashQueue: HashQueue
  /** The native addon, loaded on first use, or `Bun.password` where it does not load. */
  readonly argon2: () => Argon2Verifier
  readonly rejectionWork: RejectionWork
  readonly uncountedFailures: UncountedFailures
  readonly failureTally: FailureTally
  readonly settings: DomainSettings
  /** Counts the outcomes of use cases. */
  readonly metrics: Pick<ProductMetrics, 'login' | 'refresh' | 'apiKey' | 'sessionsSwept' | 'failuresSwept'>
}

export interface DomainSettings {
  /** The cost of a new password hash. */
  readonly hashCost: HashCost
  /** The minimum length of a new password in code points. */
  readonly passwordMinLength: number
  readonly accessTokenSeconds: number
  /** The longest lifetime of a session with a refresh token, and how long it may be idle. */
  readonly refreshLifetimeDays: number
  readonly sessionIdleDays: number
  /**
   * The longest lifetime of a browser session that ends with the browser, and how long it may be
   * idle.
   */
  readonly browserSessionHours: number
  readonly browserIdleMinutes: number
  readonly keys: KeySettings
}

export interface KeySettings {
  /** The algorithm for new tokens. */
  readonly algorithm: Algorithm
  /** Days between key rotations; 0: only on request. */
  readonly rotationDays: number
  /**
   * Read on use: if SECRET_KEY is not set, DATA_DIR has one. Throws `unavailable` until the
   * database has told which of two readings of SECRET_KEY it was used with.
   */
  readonly secretKeys: () => SecretKeys
}
