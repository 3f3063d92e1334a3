import type { MigrationReport } from '../db/migrations/migrate.ts'
import { recordAlone } from '../domain/audit/audited.ts'
import type { Deps } from '../domain/deps.ts'
import { bindFirstKey, requireSecretKey } from '../domain/keys/secretKeyChange.ts'
import { ensureSigningKey } from '../domain/keys/signingKeys.ts'
import { noticeFirstHashes } from '../domain/passwords/rejectionWork.ts'
import { seedAdministrator, warnOfSeededPasswords } from '../domain/users/seed.ts'
import { AppError } from '../error.ts'
import { findSecretKey } from '../secretKeys.ts'
import { describeError } from '../telemetry/log.ts'
import type { App } from './app.ts'

/**
 * Applies pending migrations. Throws `refused` if the schema was changed since, and warns of
 * missing privileges.
 */
export async function migrateDatabase({ deps }: Pick<App, 'deps'>): Promise<MigrationReport> {
  const report = await deps.database.migrate()
  const { adopted } = report
  if (adopted !== undefined)
    deps.log.info('database.adopted', { users: adopted, detail: 'adopted the existing users table with all its rows' })
  const { newer } = await deps.database.migrationStatus()
  if (newer > 0) {
    const detail = 'a newer version has migrated this database; this version can run next to it'
    deps.log.info('database.newer', { newer, detail })
  }
  await checkSchema(deps)
  return report
}

async function checkSchema({ database, log }: Deps): Promise<void> {
  const { missing, grants, filtered } = await database.checkSchema()
  const [they, them] = missing.length === 1 ? ['is', 'it'] : ['are', 'them']
  if (missing.length > 0)
    throw refusal(
      database,
      `The schema was changed: ${missing.join(', ')} ${they} missing, although every migration was applied. Restore ${them} from a backup.`,
    )
  const hidden = filtered.find(({ isHidden }) => isHidden)
  if (hidden)
    throw refusal(
      database,
      `Row-level security hides every row of ${hidden.name} from the role in DATABASE_URL. Give the role BYPASSRLS, or run: ${hidden.sql.join(' ')}`,
    )
  if (grants.length > 0)
    log.warn('database.privileges_missing', {
      detail: `the role in DATABASE_URL lacks privileges; as the owner of the tables, run: ${grants.join(' ')}`,
    })
  for (const { name, sql } of filtered)
    log.warn('database.row_security', {
      detail: `row-level security may hide rows of ${name} from the role in DATABASE_URL; give it BYPASSRLS, or run: ${sql.join(' ')}`,
    })
}

function refusal({ label }: Deps['database'], problem: string): AppError {
  return new AppError('refused', label === undefined ? problem : `${problem} Database: ${label}.`)
}

/**
 * Throws `refused` if SECRET_KEY is not the one of the database, which would not recognize the
 * records of this process. Changes nothing.
 */
export async function requireDatabaseKey({ deps, settleSecretKey }: App): Promise<void> {
  const fingerprint = await deps.database.instance.findFingerprint()
  if (fingerprint === null) return
  settleSecretKey(fingerprint)
  requireSecretKey(deps, fingerprint)
}

/** Returns whether this process has the SECRET_KEY of the database, which sequencing needs. */
export async function isDatabaseKey({ deps }: App): Promise<boolean> {
  const fingerprint = await deps.database.instance.findFingerprint()
  return fingerprint !== null && findSecretKey(deps.settings.keys.secretKeys(), fingerprint) !== undefined
}

/**
 * Makes the SECRET_KEY of this process that of a database without one, since records depend on it.
 * One that a command has just generated, on a server that others use too, is not.
 */
export async function bindSecretKey({ deps, hasSecretKey, keepFiles }: App): Promise<void> {
  if (!hasSecretKey && deps.database.label !== undefined) return
  if ((await deps.database.instance.findFingerprint()) !== null) return
  keepFiles()
  await bindFirstKey(deps)
}

/** Migrates, and records it. A migration may be run without SECRET_KEY, and then is only logged. */
export async function migrateAndRecord(app: App): Promise<MigrationReport> {
  const { deps, hasSecretKey } = app
  const report = await migrateDatabase(app)
  if (report.applied === 0) return report
  const fingerprint = await deps.database.instance.findFingerprint()
  app.settleSecretKey(fingerprint)
  const isKeyOf = (known: string) => findSecretKey(deps.settings.keys.secretKeys(), known) !== undefined
  if (hasSecretKey && (fingerprint === null || isKeyOf(fingerprint))) {
    await app.synchronizeClock()
    await recordMigration(deps, report)
  } else
    deps.log.warn('audit.not_recorded', {
      detail: 'the migration is not in the audit log, because SECRET_KEY is not set to the key of this database',
    })
  return report
}

function recordMigration(deps: Deps, { applied, adopted, note }: MigrationReport): Promise<void> {
  return recordAlone(deps, { event: { event: 'database.migrated', applied, adopted, detail: note } })
}

/** Migrates, and seeds an administrator if there never was a user. Returns whether it seeded. */
export async function prepareDatabase(app: App): Promise<boolean> {
  const { deps, administrator } = app
  const report = await migrateDatabase(app)
  await app.synchronizeClock()
  const { fingerprint } = await deps.database.signingKeys.listKeys()
  app.settleSecretKey(fingerprint)
  // The database is about to depend on a key that this process may have created. A database that
  // was used before does not: it has the fingerprint of another one.
  if (fingerprint === null) app.keepFiles()
  if (report.applied > 0) await recordMigration(deps, report)
  return seedAdministrator(deps, administrator)
}

/** Logs a failure instead of throwing: housekeeping reads the hashes again. */
function noticeHashes(deps: Deps): Promise<void> {
  return noticeFirstHashes(deps).catch((error) => deps.log.warn('housekeeping.failed', describeError(error)))
}

/** Seconds between attempts to reach the database: the first pause, doubled up to the longest. */
const retryDelay = { first: 0.25, longest: 2 }

/**
 * Migrates, seeds, prepares the keys and logs warnings about seeded passwords. Retries while the
 * database is unavailable, and calls `onUnavailable` each time. Returns false if `isEnding` becomes
 * true first. Throws what a retry cannot fix.
 */
export async function prepareDatabaseWithRetries(
  app: App,
  isEnding: () => boolean,
  onUnavailable: () => void,
): Promise<boolean> {
  for (let delay = retryDelay.first; !isEnding(); delay = Math.min(delay * 2, retryDelay.longest)) {
    try {
      const isSeeded = await prepareDatabase(app)
      await ensureSigningKey(app.deps)
      await noticeHashes(app.deps)
      app.keepFiles()
      await warnOfSeededPasswords(app.deps, app.administrator, isSeeded)
      return true
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'unavailable') throw error
      onUnavailable()
      // Another replica with this DATA_DIR may use the key by now.
      app.keepFiles()
      await Bun.sleep(delay * 1000)
    }
  }
  return false
}
