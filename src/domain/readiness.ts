import { AppError } from '../error.ts'
import type { Log } from '../telemetry/log.ts'
import type { Deps } from './deps.ts'

/** Returns why this process is not ready, or undefined if it is. */
export type FindUnreadiness = () => Promise<Unreadiness | undefined>

export interface Unreadiness {
  readonly reason: 'database_unavailable' | 'not_migrated' | 'not_seeded'
  /** Only logged. */
  readonly detail: string
}

/**
 * Checks that the database responds and has every migration of this binary and its first
 * administrator.
 */
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

/** Wraps a readiness check to log each change of its result. */
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
