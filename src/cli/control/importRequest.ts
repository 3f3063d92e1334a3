import type { Deps } from '../../domain/deps.ts'
import { readFirebaseParameters } from '../../domain/import/firebaseUsers.ts'
import { type Finding, type ImportReport, importUsers } from '../../domain/import/importUsers.ts'
import type { ImportFormat } from '../../domain/import/recordSplitter.ts'
import type { ImportSource } from '../../domain/import/sources.ts'
import { actor } from './auditOperations.ts'

/** The options of an import. Serializable, since they may be sent to the running server. */
export interface ImportRequest {
  readonly format: ImportFormat
  readonly from?: ImportSource
  /** The contents of the --hash-config file. */
  readonly hashConfig?: string
  readonly superusersAreAdministrators?: boolean
  readonly isDryRun: boolean
  readonly skipsBad: boolean
}

/** Runs an import, in the process of the command or in the server. */
export function importBy(
  deps: Deps,
  { hashConfig, from, ...request }: ImportRequest,
  source: AsyncIterable<Uint8Array>,
  report: (finding: Finding) => Promise<void> | void,
): Promise<ImportReport> {
  const firebase = hashConfig === undefined ? undefined : readFirebaseParameters(hashConfig)
  return importUsers(deps, actor, source, { ...request, from, firebase }, report)
}
