import type { Clock } from '../clock.ts'
import type { Database } from '../db/database.ts'
import type { Log } from '../log.ts'
import type { HashCost } from './passwords.ts'

/** What the stories of the domain need, handed to each as its first parameter. */
export interface Deps {
  readonly database: Database
  readonly clock: Clock
  readonly log: Log
  /** What a new password hash costs. */
  readonly hashCost: HashCost
  readonly accessTokenSeconds: number
}
