import type { StoredCheckpoint, StoredEvent } from '../../db/audit/reading.ts'
import type { Database } from '../../db/database.ts'
import { readCheckpoint } from '../transparency/checkpoint.ts'
import { appendLeaves, type Edge, edgeWidths, emptyEdge, hashLeaf, type Node, rootOf } from '../transparency/tree.ts'
import type { AuditKeys } from './auditKeys.ts'
import { type ParsedLeaf, parseLeaf } from './leaf.ts'
import { createProcessNumbers } from './processNumbers.ts'
import { namesOf } from './restored.ts'
import { columnsOf, isCommitted } from './sequencing.ts'

/** What is wrong with the log. `index` is undefined for a record that has none. */
export interface Finding {
  readonly index: number | undefined
  readonly time: string | undefined
  readonly type: string | undefined
  readonly problem: string
}

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
}

const pageSize = 2000

/** Checks every record of the log, and passes what is wrong to `report`. */
export async function verifyLog(
  { database, keys }: VerifyDeps,
  report: (finding: Finding) => void,
  onProgress: (checked: number, size: number) => void = () => {},
): Promise<Verification> {
  const { audit } = database
  let findings = 0
  const find = (problem: string, event?: Pick<StoredEvent, 'index'> & Partial<StoredEvent>) => {
    findings++
    report({ index: event?.index, time: event?.time?.toISOString(), type: event?.type, problem })
  }
  const { origin, size: signedSize } = await audit.readHead('', edgeWidths)
  const names = namesOf(origin)
  const checkpoints = checkpointReader(audit)
  const numbers = createProcessNumbers()
  const restoredSizes: number[] = []
  let edge: Edge = emptyEdge
  let expected = 0
  let findingsAtCheckpoint = 0
  let checkpoint = await checkpoints.next()

  const checkCheckpoint = () => {
    if (!checkpoint) return
    const { size, note, root } = checkpoint
    const signed = names.map((name) => readCheckpoint(note, name, keys.signersFor(name))).find(Boolean)
    if (!signed || signed.size !== size || !signed.root.equals(root))
      find(`the checkpoint at size ${size} was not signed by this service`)
    else if (!rootOf(edge).equals(root) && findings === findingsAtCheckpoint)
      find(`the records below ${size} are not the ones that the checkpoint signs`)
    findingsAtCheckpoint = findings
  }

  for (;;) {
    const page = await audit.listEvents({ from: expected, limit: pageSize })
    if (page.length === 0) break
    const nodes: Node[] = []
    for (const event of page) {
      if (event.index > expected) find(missingText(expected, event.index - 1))
      expected = event.index + 1
      const parsed = checkEvent(keys, event, find)
      if (parsed) numbers.add(parsed, event.index)
      if (parsed?.type === 'audit.restored') restoredSizes.push(Number(parsed.facts.size))
      const appended = appendLeaves(edge, [hashLeaf(event.leaf)])
      edge = appended.edge
      nodes.push(...appended.nodes)
      if (event.index >= signedSize) find('is beyond the newest checkpoint', event)
      while (checkpoint && checkpoint.size <= expected) {
        if (checkpoint.size === expected) checkCheckpoint()
        checkpoint = await checkpoints.next()
      }
    }
    // After a gap, the tree is another one.
    if (edge.size === expected) await checkNodes(audit, nodes, find)
    onProgress(expected, signedSize)
  }
  if (expected < signedSize)
    find(`${missingText(expected, signedSize - 1)}; the newest checkpoint has size ${signedSize}`)
  const pending = await checkPending(audit, keys, numbers.add, find)
  let lost = 0
  for (const { process, n, after = -1, before } of numbers.removed()) {
    const isLost = restoredSizes.some((size) => after < size && (before === undefined || before >= size))
    if (isLost) lost++
    else find(`event ${n} of process ${process} was removed ${placeText(after, before)}`)
  }
  return { size: expected, pending, findings, notes: notesOf(numbers, lost) }
}

function checkEvent(
  keys: AuditKeys,
  event: StoredEvent,
  find: (problem: string, event: StoredEvent) => void,
): ParsedLeaf | undefined {
  const hash = hashLeaf(event.leaf)
  const { index } = event
  if (!hash.equals(event.hash)) find('was edited: its leaf does not have its hash', event)
  else if (!keys.isSeal(index, hash, event.seal)) {
    const from = [index - 1, index + 1, index - 2, index + 2].find(
      (other) => other >= 0 && keys.isSeal(other, hash, event.seal),
    )
    find(from === undefined ? 'was edited or inserted: its seal does not fit' : `is the record of index ${from}`, event)
  }
  const parsed = parseLeaf(event.leaf)
  if (!parsed) {
    find('is not a record of this service', event)
    return undefined
  }
  const columns = columnsOf(parsed)
  const stored: Record<string, unknown> = {
    time: event.time.toISOString(),
    type: event.type,
    byId: event.by_id,
    aboutId: event.about_id,
    outcome: event.outcome,
    process: event.process,
    n: event.n,
  }
  for (const [name, value] of Object.entries({ ...columns, process: parsed.p, n: parsed.n }))
    if (stored[name] !== value) find(`has another ${columnNames[name] ?? name} than its leaf`, event)
  checkPersonal('by_private', parsed.by.private, event, find)
  checkPersonal('about_private', parsed.about?.private, event, find)
  return parsed
}

const columnNames: Readonly<Record<string, string>> = { byId: 'by_id', aboutId: 'about_id' }

function checkPersonal(
  column: 'by_private' | 'about_private',
  commitment: string | undefined,
  event: StoredEvent,
  find: (problem: string, event: StoredEvent) => void,
): void {
  const text = event[column]
  if (isCommitted(commitment, text)) return
  find(`had its ${column} ${text === null ? 'removed' : 'changed'}`, event)
}

type Audit = Database['audit']

function checkpointReader(audit: Audit) {
  let page: StoredCheckpoint[] = []
  let from = 0
  return {
    next: async (): Promise<StoredCheckpoint | undefined> => {
      if (page.length === 0) page = await audit.listCheckpoints(from, pageSize)
      const next = page.shift()
      if (next) from = next.size + 1
      return next
    },
  }
}

async function checkNodes(audit: Audit, nodes: readonly Node[], find: (problem: string) => void): Promise<void> {
  for (const { level, index, hash } of nodes) {
    const [stored] = await audit.listNodes(level, index, 1)
    if (stored?.index !== index) find(`the node ${index} of level ${level} is missing`)
    else if (!stored.hash.equals(hash)) find(`the node ${index} of level ${level} was changed`)
  }
}

async function checkPending(
  audit: Audit,
  keys: AuditKeys,
  add: (leaf: ParsedLeaf, index: 'pending') => void,
  find: (problem: string) => void,
): Promise<number> {
  let [after, count] = [0, 0]
  for (;;) {
    const page = await audit.listPending(after, pageSize)
    const last = page.at(-1)
    if (!last) return count
    after = last.id
    for (const { id, leaf, mac } of page) {
      const parsed = keys.isMac(leaf, mac) ? parseLeaf(leaf) : undefined
      if (parsed) add(parsed, 'pending')
      else find(`the pending event ${id} was not written by this service`)
      count++
    }
  }
}

function missingText(first: number, last: number): string {
  return first === last ? `record ${first} is missing` : `records ${first} to ${last} are missing`
}

function placeText(after: number, before: number | undefined): string {
  if (after < 0) return before === undefined ? 'from the log' : `before index ${before}`
  return before === undefined ? `after index ${after}` : `between the indexes ${after} and ${before}`
}

function notesOf(numbers: ReturnType<typeof createProcessNumbers>, lost: number): string[] {
  const [inFlight, unsure] = [numbers.inFlight(), numbers.unsure()]
  return [
    ...(lost > 0 ? [`${lost} events were lost by a restore that was accepted`] : []),
    ...(inFlight > 0 ? [`${inFlight} events were in flight when their process ended`] : []),
    ...(unsure > 0 ? [`${unsure} events were in flight when their connection was lost`] : []),
    'nothing from outside was given: a tail cut while all was stopped, or a rewrite with SECRET_KEY, would not show',
  ]
}
