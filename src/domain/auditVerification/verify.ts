import type { Database } from '../../db/database.ts'
import type { AuditKeys } from '../audit/auditKeys.ts'
import { isFromBefore, parseGenuine } from '../audit/sequencing.ts'
import { createProcessNumbers, type ProcessNumbers, type RemovedEvents } from '../eventNumbers/processNumbers.ts'
import { edgeWidths } from '../transparency/tree.ts'
import type { Policy } from '../witnesses/policy.ts'
import { noteOfWitnesses } from './cosignatures.ts'
import { addEarlierNumbers } from './earlierNumbers.ts'
import { countFindings, type Find, type Finding } from './findings.ts'
import { checkKept, type ReadKept } from './keptCheckpoints.ts'
import type { Prunings } from './prunings.ts'
import { recordReader, type VerifiedPart } from './records.ts'

export interface Verification {
  readonly size: number
  readonly pending: number
  readonly findings: number
  /** What is no finding, and what could not be ruled out. */
  readonly notes: readonly string[]
}

export interface VerifyDeps {
  readonly database: Pick<Database, 'audit'>
  readonly keys: AuditKeys
  readonly readKept?: ReadKept
  readonly witnesses?: Policy | undefined
  /** Only the records after it are verified. Undefined: the whole log is. */
  readonly verified?: VerifiedPart | undefined
  readonly recordsPerPage?: number
}

/** A verification with what a later one of new records needs. */
export interface CheckedLog {
  readonly verification: Verification
  /** The first `size` records, and what they say was settled, were verified. */
  readonly size: number
  readonly root: Buffer
  /** The first event of each process that is pending. */
  readonly pending: readonly (readonly [process: string, n: number])[]
  /** Events that are missing, although their process says that they were committed. */
  readonly removed: readonly RemovedEvents[]
}

export type OnProgress = (checked: number, size: number) => void | Promise<void>
type Audit = Database['audit']
const pageSize = 2000
const listedOutside = 20
/** Removed events in a row that are named one by one. */
const listedRemoved = 100

/** Checks every record of the log, and passes what is wrong to `report`. */
export async function verifyLog(
  deps: VerifyDeps,
  report: (finding: Finding) => void,
  onProgress?: OnProgress,
): Promise<Verification> {
  return (await checkLog(deps, report, onProgress)).verification
}

export async function checkLog(
  { database: { audit }, keys, readKept, witnesses, verified, recordsPerPage }: VerifyDeps,
  report: (finding: Finding) => void,
  onProgress: OnProgress = () => {},
): Promise<CheckedLog> {
  const { find, count } = countFindings(report)
  const numbers = createProcessNumbers()
  const { origin } = await audit.readHead(edgeWidths, keys.firstOrigin())
  const kept = await checkKept(readKept, origin, verified?.size ?? 0, find)
  const records = await recordReader(audit, keys, numbers, { kept, witnesses, verified, recordsPerPage }, find)
  const { prunings, isKeyChanged } = records
  const { size } = await audit.readHead(edgeWidths)
  await records.readTo(size, (checked) => onProgress(checked, size))
  const root = records.root()
  // An event leaves the pending ones for the log, so they are read in this order.
  const { pending, refused } = await checkPending({ audit, keys, numbers, prunings, verified }, find)
  const { size: newSize } = await audit.readHead(edgeWidths)
  await records.readTo(newSize, (checked) => onProgress(checked, newSize), 'new')
  const onPage = () => onProgress(newSize, newSize)
  if (verified) await addEarlierNumbers({ audit, keys, isKeyChanged, verified, onPage }, numbers, find)
  // Records that were read may be pruned by now, and others of their process before they were read.
  await prunings.read()
  records.finish(newSize)
  kept.finish(newSize)
  const outside = await audit.listOutside(listedOutside)
  for (const record of outside.records) find('is not covered by the newest checkpoint', record)
  for (const node of outside.nodes) find(`the node ${node} is not covered by the newest checkpoint`)
  const minimumIndex = Math.min(prunings.minimumIndex(), (await audit.readPruning()).minimumIndex)
  const { removed, lost } = separateLost(numbers, records.restoredSizes, minimumIndex)
  reportRemoved(removed, find)
  const counted = {
    lost,
    refused,
    formerSeals: records.formerSeals(),
    erased: records.erasures.count(),
    minimumIndex: prunings.minimumIndex(),
  }
  const notes = [
    ...notesOf(numbers, counted),
    ...(witnesses ? [await noteOfWitnesses(audit, witnesses, keys, origin)] : []),
    ...kept.notes(),
  ]
  const verification = { size: newSize, pending, findings: count(), notes }
  return { verification, size, root, pending: [...numbers.pending()], removed }
}

interface PendingContext {
  readonly audit: Audit
  readonly keys: AuditKeys
  readonly numbers: ProcessNumbers
  readonly prunings: Prunings
  readonly verified: VerifiedPart | undefined
}

async function checkPending({ audit, keys, numbers, prunings, verified }: PendingContext, find: Find) {
  let after: string | undefined
  let [pending, refused] = [0, 0]
  for (;;) {
    const page = await audit.listPending(after, pageSize)
    if (page.length === 0) return { pending, refused }
    // A later page is of a later moment, and may count an event that this pass has passed by.
    const age = after === undefined ? undefined : 'new'
    after = page.at(-1)?.id
    const earlier = verified && (await audit.findIndexes(page, verified.size))
    for (const event of page) {
      const leaf = parseGenuine(keys, event)
      const original = leaf && (numbers.indexOf(leaf) ?? earlier?.get(`${leaf.p} ${leaf.n}`))
      if (!leaf) find(`the pending event ${event.id} was not written by this service`)
      else if (original !== undefined) find(`the pending event ${event.id} is a copy of record ${original}`)
      else if (isFromBefore(prunings.before(), leaf))
        find(`the pending event ${event.id} is older than the pruned records: it may be a copy of one`)
      else {
        numbers.add(leaf, 'pending', age)
        if (event.refused === 'future')
          find(`the pending event ${event.id} is kept out of the log: its refused_at is in the future`)
        if (event.refused === 'past') refused++
      }
      pending++
    }
  }
}

/** Returns whether events were above one of the sizes of the log at a restore that was accepted. */
export function isLostBy(restoredSizes: readonly number[], { after = -1, before }: RemovedEvents): boolean {
  return restoredSizes.some((size) => after < size && (before === undefined || before >= size))
}

/**
 * Separates the events that were removed from those lost by a restore or failover that was
 * accepted.
 */
export function separateLost(numbers: ProcessNumbers, restoredSizes: readonly number[], minimumIndex = 0) {
  const removed: RemovedEvents[] = []
  let lost = numbers.accepted()
  for (const events of numbers.removed(minimumIndex)) {
    if (isLostBy(restoredSizes, events)) lost += events.last - events.first + 1
    else removed.push(events)
  }
  return { removed, lost }
}

export function reportRemoved(removed: readonly RemovedEvents[], find: Find): void {
  for (const { process, first, last, after = -1, before } of removed) {
    const place = placeText(after, before)
    if (last - first >= listedRemoved) find(`events ${first} to ${last} of process ${process} were removed ${place}`)
    else for (let n = first; n <= last; n++) find(`event ${n} of process ${process} was removed ${place}`)
  }
}

function placeText(after: number, before: number | undefined): string {
  if (after < 0) return before === undefined ? 'from the log' : `before index ${before}`
  return before === undefined ? `after index ${after}` : `between the indexes ${after} and ${before}`
}

interface Counted {
  readonly lost: number
  /** Events of this service that a server has refused. */
  readonly refused: number
  readonly formerSeals: number
  /** Personal texts. */
  readonly erased: number
  readonly minimumIndex: number
}

function notesOf(numbers: ProcessNumbers, { lost, refused, formerSeals, erased, minimumIndex }: Counted): string[] {
  const [inFlight, unsure] = [numbers.inFlight(), numbers.unsure()]
  return [
    ...counted('events lost by a restore or failover that was accepted', lost),
    ...counted('events in flight when their process ended', inFlight),
    ...counted('events in flight when their connection was lost', unsure),
    ...counted('pending events refused by a server without their SECRET_KEY or by the database', refused),
    ...counted('records sealed with a former SECRET_KEY, covered only by the checkpoints after them', formerSeals),
    ...(minimumIndex > 0 ? [`the records below ${minimumIndex} were pruned, and the pruning is recorded`] : []),
    ...counted('erased names and addresses, each erasure recorded', erased),
  ]
}

function counted(what: string, count: number): string[] {
  return count > 0 ? [`${what}: ${count}`] : []
}
