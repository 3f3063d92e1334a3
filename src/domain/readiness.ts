import type { Deps } from './deps.ts'

/** True when the database answers and has every migration of this binary; throws `unavailable` when it cannot be asked. */
export async function isReady({ database }: Pick<Deps, 'database'>): Promise<boolean> {
  return (await database.migrationStatus()).pending === 0
}
