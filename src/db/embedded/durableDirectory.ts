import { closeSync, fsyncSync, mkdirSync, openSync } from 'node:fs'
import { open, readdir } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'

// A file survives a power cut once it is synced, and its name once the directory is: a new file, a
// rename and a link change the directory.

/**
 * Creates a directory and its parents, private and durable. Leaves an existing one alone. Returns
 * the topmost one that it created.
 */
export function createDirectory(path: string): string | undefined {
  const first = mkdirSync(path, { recursive: true, mode: 0o700 })
  if (first === undefined) return undefined
  for (let created = resolve(path); created.length >= resolve(first).length; created = dirname(created))
    syncDirectory(dirname(created))
  return first
}

/** Makes the names in a directory durable, as far as the system allows. */
export function syncDirectory(path: string): void {
  if (process.platform === 'win32') return // Cannot sync directories.
  let descriptor: number
  try {
    descriptor = openSync(path, 'r')
  } catch (error) {
    // Writing to a directory needs no read access, but syncing it does.
    if ((error as NodeJS.ErrnoException).code === 'EACCES') return
    throw error
  }
  try {
    fsyncSync(descriptor)
  } catch (error) {
    // Some network and container file systems cannot sync directories.
    if ((error as NodeJS.ErrnoException).code !== 'EINVAL') throw error
  } finally {
    closeSync(descriptor)
  }
}

/** Files open at once: enough to keep a disk busy, far below the limit of open files. */
const together = 64

/** Makes everything in a directory durable. */
export async function syncTree(root: string): Promise<void> {
  const entries = await readdir(root, { withFileTypes: true, recursive: true })
  const files = entries.filter((entry) => !entry.isDirectory()).map((entry) => join(entry.parentPath, entry.name))
  for (let at = 0; at < files.length; at += together)
    await Promise.all(files.slice(at, at + together).map((file) => syncFile(file)))
  for (const entry of entries) if (entry.isDirectory()) syncDirectory(join(entry.parentPath, entry.name))
  syncDirectory(root)
}

async function syncFile(path: string): Promise<void> {
  // Windows syncs only files opened for writing.
  const file = await open(path, 'r+')
  try {
    await file.sync()
  } finally {
    await file.close()
  }
}
