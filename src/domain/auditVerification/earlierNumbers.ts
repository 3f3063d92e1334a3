import type { Database } from '../../db/database.ts'
import type { AuditKeys } from '../audit/auditKeys.ts'
import type { ProcessNumbers } from '../eventNumbers/processNumbers.ts'
import { checkRecord } from './checkRecord.ts'
import type { Find } from './findings.ts'
import type { VerifiedPart } from './records.ts'

type Audit = Database['audit']

interface Context {
  readonly audit: Audit
  readonly keys: AuditKeys
  readonly isKeyChanged: boolean
  readonly verified: VerifiedPart
  readonly onPage: () => void | Promise<void>
}

/** Few, since other work goes on between two pages. */
const pageSize = 200

/**
 * Adds the numbers of processes that began in the verified part of the log: of those that lack
 * numbers, and of those that had pending events.
 */
export async function addEarlierNumbers(context: Context, numbers: ProcessNumbers, find: Find): Promise<void> {
  const lacking = new Set(Array.from(numbers.removed(), ({ process }) => process))
  for (const process of lacking.union(new Set(context.verified.pending.keys())))
    await addProcess(context, process, numbers, find)
}

async function addProcess(
  { audit, keys, isKeyChanged, verified, onPage }: Context,
  process: string,
  numbers: ProcessNumbers,
  find: Find,
): Promise<void> {
  const below = verified.size
  const trusted = (event: Parameters<typeof checkRecord>[1]) => {
    const { leaf, problems, sealProblem } = checkRecord(keys, event)
    for (const problem of problems) find(problem, event)
    if (leaf && sealProblem !== undefined && !isKeyChanged) find(sealProblem, event)
    return leaf && (sealProblem === undefined || isKeyChanged) ? leaf : undefined
  }
  const [latest] = await audit.listOfProcess(process, { below, limit: 1 })
  if (!latest) return
  // Those up to what the last record says was settled were found, or were pending.
  const first = Math.min((trusted(latest)?.done ?? 0) + 1, verified.pending.get(process) ?? Number.POSITIVE_INFINITY)
  numbers.addVerified(process, first)
  // The record before them tells where a removed event was.
  const [before] = await audit.listOfProcess(process, { below, until: first, limit: 1 })
  for (let from = before?.n ?? first; ; ) {
    const page = await audit.listOfProcess(process, { below, from, limit: pageSize })
    for (const event of page) {
      const leaf = trusted(event)
      if (leaf) numbers.add(leaf, event.index)
      else numbers.addUntrusted(process, event.n, event.index)
    }
    await onPage()
    const last = page.at(-1)
    if (!last || page.length < pageSize) return
    from = last.n + 1
  }
}
