import { checkLogAndAccounts } from '../../src/domain/accountVerification/checkLogAndAccounts.ts'
import type { TestApplication } from '../application.ts'

/**
 * Verifies the audit log, and returns each finding, after the index of its record if it has one.
 */
export async function problemsOf({ deps: { database, audit } }: TestApplication): Promise<readonly string[]> {
  const found: string[] = []
  const { verification } = await checkLogAndAccounts({ database, keys: audit.keys }, ({ index, problem }) =>
    found.push(index === undefined ? problem : `${index}: ${problem}`),
  )
  const { findings } = verification
  if (found.length !== findings) throw new Error(`${found.length} findings were reported and ${findings} counted.`)
  return found
}

/** Verifies the audit log, and returns the notes, except of what only an anchor could rule out. */
export async function notesOf({ deps: { database, audit } }: TestApplication): Promise<readonly string[]> {
  const { verification } = await checkLogAndAccounts({ database, keys: audit.keys }, () => {})
  return verification.notes.filter((note) => !note.startsWith('not ruled out'))
}
