import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Config } from '../config/config.ts'
import { type CreatedFiles, trackCreatedFiles } from '../db/embedded/createdFiles.ts'
import {
  createDataDirectory,
  databaseFolder,
  holdDataDirectory,
  requireOwnFiles,
} from '../db/embedded/dataDirectory.ts'

/** The exclusive use of DATA_DIR by this process. */
export interface DataDirectoryClaim {
  /** Directory of the embedded database. Undefined: PostgreSQL is used; nothing is claimed. */
  readonly databaseDirectory: string | undefined
  /** What this process creates in DATA_DIR. Keep it once the start cannot fail any more. */
  readonly created: CreatedFiles
  /** Removes what was created and not kept. */
  readonly release: () => void
}

/** Milliseconds between attempts. A command holds DATA_DIR for about half a second. */
const claimRetry = { attempts: 6, pause: 250 }

/**
 * Claims DATA_DIR if the database is embedded. Throws `refused` if another process holds it, with
 * its name, if the database belongs to another user, who could not read what this process would
 * write, or if the directory belongs to a PostgreSQL server.
 */
export async function claimDataDirectory(config: Config): Promise<DataDirectoryClaim> {
  const created = trackCreatedFiles()
  if (config.databaseUrl) return { databaseDirectory: undefined, created, release: created.remove }
  const directory = resolve(config.dataDir)
  const databaseDirectory = join(directory, databaseFolder)
  requireOwnFiles(databaseDirectory)
  for (let attempt = 1; ; attempt++) {
    // A process whose start fails removes the directory that it created.
    createDataDirectory(directory, created)
    try {
      const unlock = holdDataDirectory(directory, created)
      const release = () => {
        created.remove()
        unlock()
      }
      return { databaseDirectory, created, release }
    } catch (error) {
      created.remove()
      if (attempt === claimRetry.attempts) throw error
      await Bun.sleep(claimRetry.pause)
    }
  }
}

/** Whether a database exists. A command started in the wrong directory must not create one. */
export function hasDatabase(config: Config): boolean {
  return config.databaseUrl !== undefined || existsSync(join(config.dataDir, databaseFolder))
}
