import type { Database } from '../../db/database.ts'
import type { AuditKeys } from '../audit/auditKeys.ts'
import { type ParsedLeaf, parseLeaf } from '../audit/leaf.ts'
import { parseGenuine } from '../audit/sequencing.ts'
import { checkRecord } from '../auditVerification/checkRecord.ts'
import type { VerifiedPart } from '../auditVerification/records.ts'
import { edgeWidths, rootOf } from '../transparency/tree.ts'

type Audit = Database['audit']

/** What a record says about a verification. */
export interface PastVerification {
  /** Undefined: it is pending. */
  readonly index: number | undefined
  readonly time: number
  readonly findings: number
  readonly scope: 'whole' | 'new'
  readonly size: number
  readonly root: string
  /** The first pending event of each process. Undefined: there were too many. */
  readonly pending: ReadonlyMap<string, number> | undefined
}

/** More than a month has, if one is made a day. */
const listed = 64
const pageSize = 2000

/**
 * Returns the newest verifications in the log, newest first. Skips records without a known seal.
 */
export async function listVerifications(audit: Audit, keys: AuditKeys): Promise<readonly PastVerification[]> {
  const events = await audit.listEvents({ type: 'audit.verified', limit: listed })
  return events.flatMap((event) => {
    const { leaf, problems, sealProblem } = checkRecord(keys, event)
    return leaf && problems.length === 0 && sealProblem === undefined ? verificationOf(leaf, event.index) : []
  })
}

/** Returns the time of the newest verification that is not in the log yet. */
export async function newestPending(audit: Audit, keys: AuditKeys): Promise<number | undefined> {
  let newest: number | undefined
  for (let after: string | undefined; ; ) {
    const page = await audit.listPending(after, pageSize)
    if (page.length === 0) return newest
    after = page.at(-1)?.id
    for (const event of page) {
      const isOne = parseLeaf(event.leaf)?.type === 'audit.verified'
      const leaf = isOne ? parseGenuine(keys, event) : undefined
      if (leaf) newest = Math.max(newest ?? 0, Date.parse(leaf.time))
    }
  }
}

/** Returns when the log begins; 0 if its first record is not trusted. Undefined: it is empty. */
export async function beginningOf(audit: Audit, keys: AuditKeys): Promise<number | undefined> {
  const [first] = await audit.listEvents({ from: 0, limit: 1 })
  if (!first) return undefined
  const { leaf, sealProblem } = checkRecord(keys, first)
  return leaf && sealProblem === undefined ? Date.parse(leaf.time) : 0
}

/** Returns the part that a verification found intact, if the log in the database still has it. */
export async function partOf(
  audit: Audit,
  { index = 0, findings, size, root, pending }: PastVerification,
): Promise<VerifiedPart | undefined> {
  const head = await audit.readHead(edgeWidths)
  const isUsable = findings === 0 && size <= index && size <= head.size && size >= head.minimumIndex
  if (!isUsable || !pending) return undefined
  const edge = { size, levels: await audit.readEdge(edgeWidths(size), size) }
  const isWhole = edgeWidths(size).every((width, level) => edge.levels[level]?.length === width)
  return isWhole && rootOf(edge).toString('base64') === root ? { size, edge, pending } : undefined
}

function verificationOf({ type, time, facts }: ParsedLeaf, index: number): PastVerification[] {
  const { findings, scope, size, root, pending } = facts
  const isVerification =
    type === 'audit.verified' &&
    typeof findings === 'number' &&
    (scope === 'whole' || scope === 'new') &&
    Number.isSafeInteger(size) &&
    typeof root === 'string'
  if (!isVerification) return []
  const listedPending = Array.isArray(pending) ? new Map(pending.map(entryOf)) : undefined
  return [{ index, time: Date.parse(time), findings, scope, size: Number(size), root, pending: listedPending }]
}

function entryOf(entry: unknown): readonly [process: string, n: number] {
  const [process = '', n = ''] = String(entry).split(' ')
  return [process, Number(n)]
}
