import type { Algorithm } from '../algorithms.ts'
import type { Clock } from '../clock.ts'
import type { Database } from '../db/database.ts'
import type { SecretKeys } from '../secretKeys.ts'
import type { Log } from '../telemetry/log.ts'
import type { ProductMetrics } from '../telemetry/productMetrics.ts'
import type { HashCost } from './passwords/hashCost.ts'
import type { HashQueue } from './passwords/hashQueue.ts'

/** What the stories of the domain need, handed to each as its first parameter. */
export interface Deps {
  readonly database: Database
  readonly clock: Clock
  readonly log: Log
  /** Where password hashes are computed. */
  readonly hashQueue: HashQueue
  readonly settings: DomainSettings
  /** Where the stories count what becomes of them. */
  readonly metrics: Pick<ProductMetrics, 'login' | 'refresh' | 'apiKey' | 'sessionsSwept' | 'failuresSwept'>
}

export interface DomainSettings {
  /** What a new password hash costs. */
  readonly hashCost: HashCost
  /** Fewest code points of a new password. */
  readonly passwordMinLength: number
  readonly accessTokenSeconds: number
  /** A session with a refresh token lives so long at most, and so long without use. */
  readonly refreshLifetimeDays: number
  readonly sessionIdleDays: number
  readonly keys: KeySettings
}

export interface KeySettings {
  /** What tokens are to be signed with from here on. */
  readonly algorithm: Algorithm
  /** Days after which a key is followed by the next one; 0: not by itself. */
  readonly rotationDays: number
  /** Read when they are first needed: where SECRET_KEY is not set, DATA_DIR keeps one. */
  readonly secretKeys: () => SecretKeys
}
