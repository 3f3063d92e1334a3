import { closeSync, fsyncSync, mkdirSync, openSync } from 'node:fs'
import { open, readdir } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'

// A file survives a power cut when it is synced, and its name when the directory is: a rename, a link and a new file are
// changes of the directory.

/** Makes a directory, and those above it, for the owner alone, so that they survive a power cut. One that exists is left as it is. */
export function makeDirectory(path: string): void {
  const first = mkdirSync(path, { recursive: true, mode: 0o700 })
  if (first === undefined) return
  for (let made = resolve(path); made.length >= resolve(first).length; made = dirname(made))
    syncDirectory(dirname(made))
}

/** Makes the names in a directory survive a power cut, as far as this system lets us. */
export function syncDirectory(path: string): void {
  if (process.platform === 'win32') return // has no such call
  let descriptor: number
  try {
    descriptor = openSync(path, 'r')
  } catch (error) {
    // Writing into a directory needs no right to read it, syncing it does.
    if ((error as NodeJS.ErrnoException).code === 'EACCES') return
    throw error
  }
  try {
    fsyncSync(descriptor)
  } catch (error) {
    // Some network and container file systems do not sync directories at all.
    if ((error as NodeJS.ErrnoException).code !== 'EINVAL') throw error
  } finally {
    closeSync(descriptor)
  }
}

/** Files that are open at once: enough for a disk to be busy, and far below what a process may have open. */
const together = 64

/** Makes all that is below a directory survive a power cut. */
export async function syncTree(root: string): Promise<void> {
  const entries = await readdir(root, { withFileTypes: true, recursive: true })
  const files = entries.filter((entry) => !entry.isDirectory()).map((entry) => join(entry.parentPath, entry.name))
  for (let at = 0; at < files.length; at += together)
    await Promise.all(files.slice(at, at + together).map((file) => syncFile(file)))
  for (const entry of entries) if (entry.isDirectory()) syncDirectory(join(entry.parentPath, entry.name))
  syncDirectory(root)
}

async function syncFile(path: string): Promise<void> {
  // Windows syncs only what was opened for writing.
  const file = await open(path, 'r+')
  try {
    await file.sync()
  } finally {
    await file.close()
  }
}
