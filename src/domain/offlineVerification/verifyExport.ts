import { AppError } from '../../error.ts'
import type { ParsedLeaf } from '../audit/leaf.ts'
import { createErasures } from '../auditVerification/erasures.ts'
import { countFindings, type Find, type Finding } from '../auditVerification/findings.ts'
import type { Verification } from '../auditVerification/verify.ts'
import type { ExportFiles } from '../exportedLog/exportFiles.ts'
import { type GivenCheckpoint, headsInOrder, type ServedHead } from '../exportedLog/heads.ts'
import { readNotes } from '../exportedLog/noteReader.ts'
import { isErasure } from '../exportedLog/records.ts'
import { openTiles } from '../exportedLog/tileFiles.ts'
import { hasQuorum, openCheckpoint, type Trust } from '../exportedLog/trust.ts'
import { recordFinder } from './findRecord.ts'
import { checkPersonal } from './personalTexts.ts'
import { createProcessGaps } from './processGaps.ts'
import { createPrunings } from './prunings.ts'
import { readRecords } from './readRecords.ts'
import { createRestores } from './restores.ts'
import { createUndecided } from './undecided.ts'
import { checkUpperTiles, reportMissing } from './upperTiles.ts'

export interface ExportToVerify {
  readonly files: ExportFiles
  readonly trust: Trust
  readonly given: readonly GivenCheckpoint[]
}

/** Verifies an export by what it has and what the auditor has. Passes what is wrong to `report`. */
export async function verifyExport(
  { files, trust, given }: ExportToVerify,
  report: (finding: Finding) => void,
  onProgress: (checked: number, size: number) => Promise<void>,
): Promise<Verification> {
  const { find, count } = countFindings(report)
  const served = readServed(files, trust, find)
  if (!served) return { size: 0, pending: 0, findings: count(), notes: [] }
  const { size } = served
  const tiles = openTiles(files, find)
  const kept = files.stream('checkpoints')
  const [findRecord, gaps, erasures] = [recordFinder(find), createProcessGaps(), createErasures()]
  const [prunings, restores] = [createPrunings(), createRestores(served.origin)]
  const undecided = createUndecided(given, served)
  const onRecord = (leaf: ParsedLeaf, index: number) => {
    const copied = gaps.add(leaf, index)
    if (copied !== undefined) findRecord(index, leaf, `is a copy of record ${copied}`)
    else {
      if (isErasure(leaf)) erasures.add(leaf)
      for (const facts of [prunings, restores, undecided]) facts.add(leaf, index)
    }
  }
  const heads = headsInOrder(kept && readNotes(kept), given, served, trust, find)
  const onRead = (checked: number) => onProgress(checked, size)
  const records = await readRecords({ size, tiles, heads, find, findRecord, onRecord, onProgress: onRead })
  checkUpperTiles(tiles, size, records, find)
  const pruned = reportMissing(tiles, prunings.minimumIndex(), find)
  const headNotes = undecided.report(records.undecided, { restores, prunings }, find)
  const { lost, inFlight, unsure } = gaps.report(find, { restores, prunings, unreadable: records.unreadable })
  const personal = files.stream('private.ndjson')
  const erased = personal ? await checkPersonal(personal, { ...records, size, tiles, find, findRecord, erasures }) : 0
  const notes = [
    ...(pruned ? [`records 0 to ${prunings.minimumIndex() - 1} were pruned`] : []),
    ...counted('events lost by a restore or failover that was accepted', lost),
    ...counted('events in flight when their process ended', inFlight),
    ...counted('events in flight when their connection was lost', unsure),
    ...counted('erased personal texts', erased),
    ...(personal ? [] : ['names and addresses were not checked: the export has none']),
    ...(kept ? [] : ['the export has no kept checkpoints']),
    ...counted('checkpoints not compared, because the records up to them are not there', records.uncompared),
    ...headNotes,
    ...(isAnchored(given, trust) ? [] : [unanchored]),
  ]
  return { size, pending: 0, findings: count(), notes }
}

const unanchored =
  'not ruled out, because no checkpoint or policy from outside was given: an older copy of the log, and a rewrite with SECRET_KEY'

function isAnchored(given: readonly GivenCheckpoint[], { policy }: Trust): boolean {
  return given.length > 0 || (policy !== undefined && policy.witnesses.length > 0)
}

function counted(what: string, count: number): string[] {
  return count > 0 ? [`${what}: ${count}`] : []
}

/** Returns the newest checkpoint if one of the keys signed it. */
function readServed(files: ExportFiles, trust: Trust, find: Find): ServedHead | undefined {
  const content = files.read('checkpoint')
  if (!content) throw new AppError('refused', 'The directory has no file "checkpoint", so it is no complete export.')
  const note = content.toString()
  const opened = openCheckpoint(note, trust)
  if (typeof opened === 'string' || !opened.isSigned) {
    find(`the checkpoint ${typeof opened === 'string' ? opened : 'is not signed by a given key'}`)
    return undefined
  }
  for (const problem of opened.problems) find(`the checkpoint ${problem}`)
  if (trust.policy && !hasQuorum(note, trust.policy))
    find('the checkpoint does not have the cosignatures that the policy requires')
  return { ...opened, name: `the checkpoint (size ${opened.size})`, kind: 'served' }
}
