import type { Deps } from '../../domain/deps.ts'
import { readFirebaseParameters } from '../../domain/import/firebaseUsers.ts'
import { type BadRecord, type ImportReport, importUsers } from '../../domain/import/importUsers.ts'
import type { ImportFormat } from '../../domain/import/recordSplitter.ts'
import type { ImportSource } from '../../domain/import/sources.ts'
import { actor } from './operations.ts'

/** What a command asks of an import, in JSON: it may travel to the server that holds the database. */
export interface ImportRequest {
  readonly format: ImportFormat
  readonly from?: ImportSource
  /** The text of the file that --hash-config names. */
  readonly hashConfig?: string
  readonly isDryRun: boolean
  readonly skipsBad: boolean
}

/** Carries it out, in the process of the command or in the server's. */
export function importBy(
  deps: Deps,
  { format, from, hashConfig, isDryRun, skipsBad }: ImportRequest,
  source: AsyncIterable<Uint8Array>,
  report: (bad: BadRecord) => Promise<void> | void,
): Promise<ImportReport> {
  const firebase = hashConfig === undefined ? undefined : readFirebaseParameters(hashConfig)
  return importUsers(deps, actor, source, { format, from, firebase, isDryRun, skipsBad }, report)
}
