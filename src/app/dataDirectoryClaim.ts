import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Config } from '../config/config.ts'
import { createDataDirectory, holdDataDirectory, requireOwnFiles } from '../db/embedded/dataDirectory.ts'

/** The exclusive use of DATA_DIR by this process. */
export interface DataDirectoryClaim {
  /** Directory of the embedded database. Undefined: PostgreSQL is used; nothing is claimed. */
  readonly databaseDirectory: string | undefined
  readonly release: () => void
}

/** The embedded database's folder in DATA_DIR. */
const databaseFolder = 'postgresql'

/** Milliseconds between attempts. A command holds DATA_DIR for about half a second. */
const claimRetry = { attempts: 6, pause: 250 }

/**
 * Claims DATA_DIR if the database is embedded. Throws `refused` if another process holds it, with
 * its name, or if the database belongs to another user, who could not read what this process would
 * write.
 */
export async function claimDataDirectory(config: Config): Promise<DataDirectoryClaim> {
  if (config.databaseUrl) return { databaseDirectory: undefined, release: () => {} }
  const directory = resolve(config.dataDir)
  const databaseDirectory = join(directory, databaseFolder)
  createDataDirectory(directory)
  requireOwnFiles(databaseDirectory)
  for (let attempt = 1; ; attempt++) {
    try {
      return { databaseDirectory, release: holdDataDirectory(directory) }
    } catch (error) {
      if (attempt === claimRetry.attempts) throw error
      await Bun.sleep(claimRetry.pause)
    }
  }
}

/** Whether a database exists. A command started in the wrong directory must not create one. */
export function hasDatabase(config: Config): boolean {
  return config.databaseUrl !== undefined || existsSync(join(config.dataDir, databaseFolder))
}
