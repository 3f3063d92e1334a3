import type { Deps } from './deps.ts'

/**
 * True when the database answers, has every migration of this binary and its first administrator; throws `unavailable`
 * when it cannot be asked.
 */
export async function isReady({ database }: Pick<Deps, 'database'>): Promise<boolean> {
  return (await database.migrationStatus()).pending === 0 && database.instance.isSeeded()
}
