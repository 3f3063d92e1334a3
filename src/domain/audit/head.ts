import type { StoredHead } from '../../db/audit/sequence.ts'
import type { Database } from '../../db/database.ts'
import { readCheckpoint } from '../transparency/checkpoint.ts'
import { appendLeaves, type Edge, edgeWidths, rootOf } from '../transparency/tree.ts'
import type { Recorder } from './recorder.ts'
import { namesOf } from './restored.ts'
import { checkHead, type Inconsistency } from './sequencing.ts'

/** The newest head that this process has seen. A database that goes back behind it shows. */
export interface Head {
  isBehind(stored: Pick<StoredHead, 'origin' | 'size'>): boolean
  /** Extends the edge in memory by what is new, and compares it with the newest checkpoint. */
  follow(): Promise<Inconsistency | undefined>
  size(): number
}

interface HeadDeps {
  readonly database: Pick<Database, 'audit'>
  readonly audit: Recorder
}

const hashesPerRead = 4096

export function followHead({ database, audit }: HeadDeps, firstOrigin: string): Head {
  let followed: { readonly origin: string; readonly edge: Edge } | undefined
  const isBehind: Head['isBehind'] = ({ origin, size }) => {
    if (!followed) return false
    if (followed.origin === origin) return size < followed.edge.size
    // Back to the name that the log had before a restore was accepted.
    return namesOf(followed.origin).includes(origin)
  }

  async function extend(edge: Edge, size: number): Promise<Edge> {
    let extended = edge
    while (extended.size < size) {
      const hashes = await database.audit.listHashes(extended.size, size, hashesPerRead)
      if (hashes.length === 0) break
      extended = appendLeaves(extended, hashes).edge
    }
    return extended
  }

  async function follow(): Promise<Inconsistency | undefined> {
    const head = await database.audit.readHead(edgeWidths, firstOrigin)
    const { origin, size, note } = head
    const checked = checkHead(audit.keys, head)
    if ('inconsistency' in checked) return checked.inconsistency
    if (isBehind(head)) return 'rolled_back'
    if (!followed || followed.origin !== origin) {
      followed = { origin, edge: checked.edge }
      return undefined
    }
    const edge = await extend(followed.edge, size)
    const checkpoint = note && readCheckpoint(note, origin, audit.keys.signersFor(origin))
    if (checkpoint && !rootOf(edge).equals(checkpoint.root)) return 'rewritten'
    followed = { origin, edge }
    return undefined
  }

  return { isBehind, follow, size: () => followed?.edge.size ?? 0 }
}
