import type { StoredEvent } from '../../db/audit/reading.ts'
import type { Database } from '../../db/database.ts'
import type { AuditKeys } from '../audit/auditKeys.ts'
import { edgeWidths, growTree } from '../transparency/tree.ts'
import type { Policy } from '../witnesses/policy.ts'
import { checkpointReader, nodeChecker } from './checkpoints.ts'
import { checkRecord } from './checkRecord.ts'
import { wrongCosigner } from './cosignatures.ts'
import { createErasureCheck } from './erasures.ts'
import { type Find, missingText } from './findings.ts'
import type { KeptCheck } from './keptCheckpoints.ts'
import type { ProcessNumbers } from '../eventNumbers/processNumbers.ts'
import { growFromNodes, readPrunings } from './prunings.ts'
import { createRootCheck } from './roots.ts'

type Audit = Database['audit']

const pageSize = 500

/** Reads the records in order, and compares the tree that they make with every checkpoint. */
export async function recordReader(
  audit: Audit,
  keys: AuditKeys,
  numbers: ProcessNumbers,
  { kept, witnesses }: { readonly kept: KeptCheck; readonly witnesses?: Policy | undefined },
  find: Find,
) {
  const head = await audit.readHead(edgeWidths)
  const tree = growTree()
  const isKeyChanged = await hasKeyChange(audit, keys, head.size)
  const prunings = await readPrunings(audit, keys, isKeyChanged, numbers)
  const roots = createRootCheck(tree, head.origin, keys, isKeyChanged, find)
  let checkNode = nodeChecker(audit, find)
  const checkpoints = checkpointReader(audit)
  let checkpoint = await checkpoints.next()
  const restoredSizes: number[] = []
  const erasures = createErasureCheck(audit, keys, isKeyChanged, find)
  let expected = 0
  const skipPruned = async (index: number): Promise<void> => {
    const start = await prunings.startBefore(index)
    if (start <= expected) return
    expected = start
    checkNode = nodeChecker(audit, find)
    if (!(await growFromNodes(audit, tree, start, checkNode))) roots.explain('a node of the pruned records is missing')
    kept.grown(start, tree.root)
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
      if (leaf.type === 'audit.restored') {
        restoredSizes.push(Number(leaf.facts.size))
        kept.restored(leaf.facts.from, leaf.facts.size)
      }
      if (leaf.type === 'audit.lost') numbers.accept(leaf.facts.process, leaf.facts.numbers)
    } else numbers.addUntrusted(event.process, event.n, event.index)
    // The hash is compared with the leaf on its own, so one edited leaf does not hide others.
    for (const node of tree.append(event.hash)) if (!roots.isExplained()) await checkNode(node)
    kept.grown(expected, tree.root)
    while (checkpoint && checkpoint.size <= expected) {
      const wrong = witnesses && wrongCosigner(checkpoint.note, witnesses)
      if (wrong !== undefined) find(`the checkpoint at size ${checkpoint.size} has a wrong cosignature of ${wrong}`)
      roots.checkpoint(checkpoint, checkpoint.size === expected)
      checkpoint = await checkpoints.next()
    }
  }

  return {
    restoredSizes,
    erasures,
    prunings,
    formerSeals: roots.formerSeals,
    readTo: async (size: number, onPage: (checked: number) => void, age?: 'new') => {
      for (let coming = audit.listEvents({ from: expected, before: size, limit: pageSize }); ; ) {
        const page = await coming
        const last = page.at(-1)
        if (!last) break
        // The database reads the next page while this one is checked.
        coming = audit.listEvents({ from: last.index + 1, before: size, limit: pageSize })
        coming.catch(() => {})
        for (const event of page) await readRecord(event, age)
        await erasures.report()
        onPage(expected)
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
