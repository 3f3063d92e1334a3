import { ensureSigningKey } from '../domain/keys/signingKeys.ts'
import { seedAdministrator, warnOfSeededPasswords } from '../domain/users/seed.ts'
import { AppError } from '../error.ts'
import type { App } from './app.ts'

/** Applies pending migrations. Returns how many. */
export async function migrateDatabase({ deps }: Pick<App, 'deps'>): Promise<number> {
  const { applied, adopted } = await deps.database.migrate()
  if (adopted) deps.log.info('database.adopted', { detail: 'adopted the existing users table with all its rows' })
  if (applied > 0) deps.log.info('database.migrated', { applied })
  const { newer } = await deps.database.migrationStatus()
  if (newer > 0) {
    const detail = 'a newer version has migrated this database; this version can run next to it'
    deps.log.info('database.newer', { newer, detail })
  }
  return applied
}

/** Migrates, and seeds an administrator if there never was a user. Returns whether it seeded. */
export async function prepareDatabase(app: App): Promise<boolean> {
  const { deps, administrator } = app
  await migrateDatabase(app)
  await app.synchronizeClock()
  const { fingerprint } = await deps.database.signingKeys.listKeys()
  app.settleSecretKey(fingerprint)
  // The database is about to depend on a key that this process may have created. A database that
  // was used before does not: it has the fingerprint of another one.
  if (fingerprint === null) app.keepFiles()
  return seedAdministrator(deps, administrator)
}

/** Seconds between attempts to reach the database: the first pause, doubled up to the longest. */
const retryDelay = { first: 0.25, longest: 2 }

/**
 * Migrates, seeds, prepares the keys and logs warnings about seeded passwords. Retries while the
 * database is unavailable. Returns false if `isEnding` becomes true first. Throws what a retry
 * cannot fix.
 */
export async function prepareDatabaseWithRetries(app: App, isEnding: () => boolean): Promise<boolean> {
  for (let delay = retryDelay.first; !isEnding(); delay = Math.min(delay * 2, retryDelay.longest)) {
    try {
      const isSeeded = await prepareDatabase(app)
      await ensureSigningKey(app.deps)
      app.keepFiles()
      await warnOfSeededPasswords(app.deps, app.administrator, isSeeded)
      return true
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'unavailable') throw error
      // Another replica with this DATA_DIR may use the key by now.
      app.keepFiles()
      await Bun.sleep(delay * 1000)
    }
  }
  return false
}
