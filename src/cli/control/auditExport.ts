import type { Deps } from '../../domain/deps.ts'
import { proveEvent } from '../../domain/publishedLog/eventProof.ts'
import { type ExportedPart, exportLog, type LogExport } from '../../domain/publishedLog/exportLog.ts'
import { writeSpicy, writeTlogProof } from '../../domain/transparency/tlogProof.ts'

/** Exports the audit log. Passes the files to `take` in parts. */
export async function exportAudit(
  deps: Deps,
  by: string,
  choice: { readonly personal: boolean },
  take: (part: ExportedPart) => Promise<void>,
): Promise<LogExport> {
  const parts = exportLog(deps, by, choice)
  for (;;) {
    const { done, value } = await parts.next()
    if (done) return value
    await take(value)
  }
}

/** The files that prove a record. */
export interface ProvenRecord {
  readonly leaf: string
  readonly tlogProof: string
  readonly spicy: string
  readonly byPrivate: string | null
  readonly aboutPrivate: string | null
}

export async function provenRecord(deps: Deps, index: number): Promise<ProvenRecord> {
  const { proof, ...event } = await proveEvent(deps, index)
  return { ...event, tlogProof: writeTlogProof(proof), spicy: writeSpicy(proof) }
}
