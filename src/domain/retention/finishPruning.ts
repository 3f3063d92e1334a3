import { AppError } from '../../error.ts'
import { readPrunings } from '../auditVerification/prunings.ts'
import { hasKeyChange } from '../auditVerification/records.ts'
import type { Deps } from '../deps.ts'
import { publishedHead } from '../publishedLog/published.ts'
import { edgeWidths, tileWidth } from '../transparency/tree.ts'

type PruningDeps = Pick<Deps, 'database' | 'audit' | 'witnesses'>

/** Records that one transaction deletes. */
const batch = 40 * tileWidth

export interface Pruned {
  readonly minimumIndex: number
  readonly deleted: number
}

/**
 * Deletes the records that a pruning in the log says are pruned, in batches until `isEnding`. One
 * that is still pending, or that too few witnesses have cosigned, waits: no one can call a log
 * pruned that was cut off.
 */
export async function finishPruning(deps: PruningDeps, isEnding: () => boolean = () => false): Promise<Pruned> {
  const { database, witnesses } = deps
  const { keys } = deps.audit
  let { minimumIndex } = await database.audit.readPruning()
  let deleted = 0
  if (!(await database.audit.hasPruningAbove(minimumIndex))) return { minimumIndex, deleted }
  const { size } = await database.audit.readHead(edgeWidths)
  const isKeyChanged = await hasKeyChange(database.audit, keys, size)
  const prunings = await readPrunings(database.audit, keys, isKeyChanged)
  const end = Math.min(prunings.minimumIndex(witnesses ? await publishedSize(deps) : size), size)
  const before = prunings.before()
  while (before && minimumIndex < end && !isEnding()) {
    const next = Math.min(minimumIndex + batch, end)
    deleted += await database.withEvents(
      ({ audit }) => audit.deleteRecords(next, before),
      () => [],
      'unlimited',
    )
    minimumIndex = next
  }
  return { minimumIndex, deleted }
}

/** Returns the size of the newest checkpoint that the witnesses allow. 0: there is none. */
async function publishedSize(deps: PruningDeps): Promise<number> {
  try {
    return (await publishedHead(deps)).size
  } catch (error) {
    if (error instanceof AppError && error.code === 'not_found') return 0
    throw error
  }
}
