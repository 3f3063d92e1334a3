import { AppError } from '../error.ts'
import type { Log } from '../telemetry/log.ts'
import type { Deps } from './deps.ts'
import type { KeyRing } from './keys/keyRing.ts'

/** Returns why this process is not ready, or undefined if it is. */
export type FindUnreadiness = () => Promise<Unreadiness | undefined>

export interface Unreadiness {
  readonly reason: 'database_unavailable' | 'not_migrated' | 'not_seeded' | 'keys_unavailable'
  /** Only logged. */
  readonly detail: string
}

/**
 * Checks everything that a login needs: the database responds to changes and to reads, has every
 * migration of this binary, the columns of a login and its first administrator, and this process
 * can sign tokens.
 */
export async function findUnreadiness(
  { database }: Pick<Deps, 'database'>,
  keyRing: Pick<KeyRing, 'requireSigner'>,
): Promise<Unreadiness | undefined> {
  const [forChanges, forReads] = await Promise.all([
    findMissingPreparation(database).catch((error) => unavailability('database_unavailable', error)),
    database.signingKeys.listKeys().then(nothing, (error) => unavailability('database_unavailable', error)),
  ])
  if (forChanges ?? forReads) return forChanges ?? forReads
  return keyRing.requireSigner().then(nothing, (error) => unavailability('keys_unavailable', error))
}

function nothing(): undefined {}

/** Throws errors that are not about availability: they are bugs. */
function unavailability(reason: Unreadiness['reason'], error: unknown): Unreadiness {
  if (!(error instanceof AppError) || error.code === 'internal') throw error
  return { reason, detail: error.message }
}

async function findMissingPreparation(database: Deps['database']): Promise<Unreadiness | undefined> {
  const { pending } = await database.migrationStatus()
  if (pending > 0) return { reason: 'not_migrated', detail: `${pending} migrations have not been applied` }
  if (!(await database.instance.isSeeded())) {
    return { reason: 'not_seeded', detail: 'the database has not been seeded' }
  }
  await database.instance.readLoginColumns()
  return undefined
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
