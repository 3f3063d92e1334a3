import type { StoredEvent } from '../../db/audit/reading.ts'
import type { Database } from '../../db/database.ts'
import type { AuditKeys } from '../audit/auditKeys.ts'
import type { ParsedLeaf } from '../audit/leaf.ts'
import type { ProcessNumbers } from '../eventNumbers/processNumbers.ts'
import { type Edge, edgeWidths, growTree } from '../transparency/tree.ts'
import type { Policy } from '../witnesses/policy.ts'
import { checkpointReader, nodeChecker } from './checkpoints.ts'
import { checkRecord } from './checkRecord.ts'
import { wrongCosigner } from './cosignatures.ts'
import { createErasureCheck } from './erasures.ts'
import { type Find, missingText } from './findings.ts'
import type { KeptCheck } from './keptCheckpoints.ts'
import { growFromNodes, readPrunings } from './prunings.ts'
import { createRootCheck, type RootCheck } from './roots.ts'

type Audit = Database['audit']

const pageSize = 500

/** The part of the log before the records to verify. An earlier verification found it intact. */
export interface VerifiedPart {
  readonly size: number
  readonly edge: Edge
  /** The first event of each process that was pending then. */
  readonly pending: ReadonlyMap<string, number>
}

interface RecordChecks {
  readonly kept: KeptCheck
  readonly witnesses?: Policy | undefined
  /** Undefined: the whole log is verified. */
  readonly verified?: VerifiedPart | undefined
  readonly recordsPerPage?: number | undefined
}

/** Reads the records in order, and compares the tree that they make with every checkpoint. */
export async function recordReader(
  audit: Audit,
  keys: AuditKeys,
  numbers: ProcessNumbers,
  { kept, witnesses, verified, recordsPerPage = pageSize }: RecordChecks,
  find: Find,
) {
  const head = await audit.readHead(edgeWidths, keys.firstOrigin())
  const tree = growTree()
  tree.restart(verified?.edge)
  let expected = verified?.size ?? 0
  const isKeyChanged = await hasKeyChange(audit, keys, head.size)
  const prunings = await readPrunings(audit, keys, isKeyChanged, numbers)
  prunings.skipTo(expected)
  const roots = createRootCheck(tree, head.origin, keys, isKeyChanged, find)
  let checkNode = nodeChecker(audit, find)
  const checkCheckpoints = await checkpointChecker(audit, verified?.size, { roots, witnesses }, find)
  const losses = createLosses(numbers, kept)
  for await (const leaf of lossesBefore(audit, keys, isKeyChanged, expected)) losses.add(leaf)
  const erasures = createErasureCheck(audit, keys, isKeyChanged, find)
  const skipPruned = async (index: number): Promise<void> => {
    const start = await prunings.startBefore(index)
    if (start <= expected) return
    expected = start
    checkNode = nodeChecker(audit, find)
    if (!(await growFromNodes(audit, tree, start, checkNode))) roots.explain('a node of the pruned records is missing')
    kept.grown(start, tree.root)
  }
  if (verified) {
    kept.grown(expected, tree.root)
    await checkCheckpoints(expected)
  }
  const readRecord = async (event: StoredEvent, age?: 'new') => {
    if (event.index > expected) await skipPruned(event.index)
    if (event.index > expected) roots.explain(missingText(expected, event.index - 1))
    expected = event.index + 1
    const { leaf, problems, missing, sealProblem } = checkRecord(keys, event)
    for (const problem of problems) find(problem, event)
    if (leaf) erasures.missing(leaf, event, missing)
    if (sealProblem !== undefined) roots.sealMismatch(event, sealProblem)
    if (leaf && (sealProblem === undefined || isKeyChanged)) {
      numbers.add(leaf, event.index, age)
      if (prunings.isOlder(leaf)) find('is older than the pruned records: it may be a copy of one', event)
      losses.add(leaf)
    } else numbers.addUntrusted(event.process, event.n, event.index)
    // The hash is compared with the leaf on its own, so one edited leaf does not hide others.
    for (const node of tree.append(event.hash)) if (!roots.isExplained()) await checkNode(node)
    kept.grown(expected, tree.root)
    await checkCheckpoints(expected)
  }

  return {
    restoredSizes: losses.restoredSizes,
    isKeyChanged,
    erasures,
    prunings,
    formerSeals: roots.formerSeals,
    root: tree.root,
    readTo: async (size: number, onPage: (checked: number) => void | Promise<void>, age?: 'new') => {
      for (let coming = audit.listEvents({ from: expected, before: size, limit: recordsPerPage }); ; ) {
        const page = await coming
        const last = page.at(-1)
        if (!last) break
        // The database reads the next page while this one is checked.
        coming = audit.listEvents({ from: last.index + 1, before: size, limit: recordsPerPage })
        coming.catch(() => {})
        for (const event of page) await readRecord(event, age)
        await erasures.report()
        await onPage(expected)
      }
    },
    finish: (size: number) => {
      expected = Math.max(expected, prunings.minimumIndex())
      if (expected < size) find(`${missingText(expected, size - 1)}; the newest checkpoint has size ${size}`)
      roots.finish()
      for (const problem of prunings.problemsOf(head)) find(problem)
    },
  }
}

/** Returns a function that checks the checkpoints up to the size that the tree has grown to. */
async function checkpointChecker(
  audit: Audit,
  from: number | undefined,
  { roots, witnesses }: { readonly roots: RootCheck; readonly witnesses: Policy | undefined },
  find: Find,
): Promise<(size: number) => Promise<void> | undefined> {
  const checkpoints = checkpointReader(audit, from)
  let checkpoint = await checkpoints.next()
  const check = async (size: number) => {
    while (checkpoint && checkpoint.size <= size) {
      const wrong = witnesses && wrongCosigner(checkpoint.note, witnesses)
      if (wrong !== undefined) find(`the checkpoint at size ${checkpoint.size} has a wrong cosignature of ${wrong}`)
      roots.checkpoint(checkpoint, checkpoint.size === size)
      checkpoint = await checkpoints.next()
    }
  }
  return (size) => (checkpoint && checkpoint.size <= size ? check(size) : undefined)
}

/** What the log says was lost, and was accepted. */
function createLosses(numbers: ProcessNumbers, kept: KeptCheck) {
  const restoredSizes: number[] = []
  return {
    restoredSizes,
    add: ({ type, facts }: ParsedLeaf) => {
      if (type === 'audit.restored') {
        restoredSizes.push(Number(facts.size))
        kept.restored(facts.from, facts.size)
      }
      if (type === 'audit.lost') numbers.accept(facts.process, facts.numbers)
    },
  }
}

async function* lossesBefore(audit: Audit, keys: AuditKeys, isKeyChanged: boolean, before: number) {
  for (const type of ['audit.restored', 'audit.lost'])
    for (let from = 0; from < before; ) {
      const page = await audit.listEvents({ type, from, before, limit: pageSize })
      for (const event of page) {
        const { leaf, sealProblem } = checkRecord(keys, event)
        if (leaf && (sealProblem === undefined || isKeyChanged)) yield leaf
      }
      from = page.length < pageSize ? before : (page.at(-1)?.index ?? before) + 1
    }
}

/**
 * Returns whether the log has a record that SECRET_KEY was changed. Its seal may be of the former
 * key; the next checkpoint covers it.
 */
export async function hasKeyChange(audit: Audit, keys: AuditKeys, size: number): Promise<boolean> {
  for (const type of ['secret_key.changed', 'key.reset']) {
    const events = await audit.listEvents({ type, from: 0, before: size, limit: pageSize })
    if (events.some((event) => checkRecord(keys, event).leaf?.type === type)) return true
  }
  return (await readPrunings(audit, keys, false)).isKeyChanged()
}
