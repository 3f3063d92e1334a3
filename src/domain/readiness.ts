import { AppError } from '../error.ts'
import type { Log } from '../telemetry/log.ts'
import type { Deps } from './deps.ts'

/** Answers why this process is not ready for work; undefined when it is. */
export type FindUnreadiness = () => Promise<Unreadiness | undefined>

export interface Unreadiness {
  readonly reason: 'database_unavailable' | 'not_migrated' | 'not_seeded'
  /** For the log alone. */
  readonly detail: string
}

/** Asks the database whether it answers, has every migration of this binary and its first administrator. */
export async function findUnreadiness({ database }: Pick<Deps, 'database'>): Promise<Unreadiness | undefined> {
  try {
    const { pending } = await database.migrationStatus()
    if (pending > 0) return { reason: 'not_migrated', detail: `${pending} migrations have not been applied` }
    if (await database.instance.isSeeded()) return undefined
    return { reason: 'not_seeded', detail: 'the database has not been seeded' }
  } catch (error) {
    if (!(error instanceof AppError) || error.code === 'internal') throw error
    return { reason: 'database_unavailable', detail: error.message }
  }
}

/** The same, with a line in the log whenever the answer has changed, however often it is asked for. */
export function watchReadiness(find: FindUnreadiness, log: Log): FindUnreadiness {
  let known: Unreadiness['reason'] | undefined
  return async () => {
    const unreadiness = await find()
    if (unreadiness?.reason !== known) {
      known = unreadiness?.reason
      if (unreadiness) log.warn('readiness.lost', { ...unreadiness })
      else log.info('readiness.regained')
    }
    return unreadiness
  }
}
