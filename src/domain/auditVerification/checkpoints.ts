import type { StoredCheckpoint } from '../../db/audit/reading.ts'
import type { Database } from '../../db/database.ts'
import type { AuditKeys } from '../audit/auditKeys.ts'
import { namesOf } from '../audit/restored.ts'
import { readCheckpoint } from '../transparency/checkpoint.ts'
import type { Node } from '../transparency/tree.ts'

type Audit = Database['audit']

const pageSize = 2000

/** Returns the checkpoints from a size on one after another, smallest first. */
export function checkpointReader(audit: Audit, size = Number.MIN_SAFE_INTEGER) {
  let page: StoredCheckpoint[] = []
  let from = size
  return {
    next: async (): Promise<StoredCheckpoint | undefined> => {
      if (page.length === 0 && from < Number.MAX_SAFE_INTEGER) page = await audit.listCheckpoints(from, pageSize)
      const next = page.shift()
      if (next) from = next.size + 1
      return next
    },
  }
}

/** Returns whether a known key has signed a checkpoint for one of the names of the log. */
export function isSigned({ size, root, note }: StoredCheckpoint, origin: string, keys: AuditKeys): boolean {
  return namesOf(origin).some((name) => {
    const signed = readCheckpoint(note, name, keys.signersFor(name))
    return signed?.size === size && signed.root.equals(root)
  })
}

/** Compares nodes, given in order, with the stored ones. Reads each level in pages. */
export function nodeChecker(audit: Audit, find: (problem: string) => void) {
  const pages = new Map<number, { index: number; hash: Buffer }[]>()
  return async ({ level, index, hash }: Node): Promise<void> => {
    let page = pages.get(level)?.filter((stored) => stored.index >= index) ?? []
    if (page.length === 0) page = await audit.listNodes(level, index, pageSize)
    pages.set(level, page)
    const [stored] = page
    if (stored?.index !== index) find(`the node ${index} of level ${level} is missing`)
    else if (!stored.hash.equals(hash)) find(`the node ${index} of level ${level} was changed`)
  }
}
