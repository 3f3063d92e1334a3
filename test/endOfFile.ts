import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const works = new Set<() => void>()
let isRegistered = false

/**
 * Runs `work` after the tests of the file, whether they pass or not, or when another program exits.
 * A hook at the top of an imported module would run only for the first file that a worker imports
 * it into. Returns a function that cancels it.
 */
export function atEndOfFile(work: () => void): () => void {
  if (!isRegistered) process.once('exit', endFile)
  isRegistered = true
  works.add(work)
  return () => works.delete(work)
}

/**
 * Runs what is registered, latest first. `bun test` fires no `exit`: `postgresql.ts` calls this.
 */
export function endFile(): void {
  const due = [...works].reverse()
  works.clear()
  for (const work of due) {
    try {
      work()
    } catch (error) {
      console.error(error)
    }
  }
}

/** Creates an empty directory, which is removed after the tests of the file. */
export function temporaryDirectory(purpose: string, parent = tmpdir()): string {
  const directory = mkdtempSync(join(parent, `audittrail-${purpose}-`))
  atEndOfFile(() => rmSync(directory, { recursive: true, force: true, maxRetries: 3 }))
  return directory
}
