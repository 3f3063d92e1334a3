import { existsSync, rmdirSync, unlinkSync } from 'node:fs'
import { dirname, resolve } from 'node:path'

/** What this process has created in DATA_DIR, so that a failed start leaves nothing behind. */
export interface CreatedFiles {
  addFile(path: string): void
  /** `first`: the topmost directory that was created on the way to `path`. */
  addDirectories(first: string | undefined, path: string): void
  /** From now on, nothing is removed, whenever it is created. */
  keep(): void
  /** Removes the files, and the directories that are empty then. */
  remove(): void
}

export function trackCreatedFiles(): CreatedFiles {
  const removals: (() => void)[] = []
  let isKept = false
  return {
    addFile: (path) => void removals.unshift(() => unlinkSync(path)),
    addDirectories: (first, path) => {
      if (first === undefined) return
      const created: string[] = []
      for (let at = resolve(path); at.length >= resolve(first).length; at = dirname(at)) created.push(at)
      removals.push(...created.map((directory) => () => rmdirSync(directory)))
    },
    keep: () => {
      isKept = true
    },
    remove: () => {
      if (isKept) return
      for (const remove of removals.splice(0)) {
        try {
          remove()
        } catch {
          // Another process uses the directory by now, or has removed it.
        }
      }
    },
  }
}

/** Returns the PostgreSQL data directory that a path is, or is in. Undefined if there is none. */
export function enclosingCluster(path: string): string | undefined {
  const own = resolve(path)
  for (let at = own; ; at = dirname(at)) {
    if (existsSync(`${at}/PG_VERSION`) && (at === own || existsSync(`${at}/global`))) return at
    if (at === dirname(at)) return undefined
  }
}

/** Returns whether a PostgreSQL server has run on a data directory. The embedded one never does. */
export function isServerCluster(path: string): boolean {
  return existsSync(`${path}/PG_VERSION`) && existsSync(`${path}/postmaster.opts`)
}
