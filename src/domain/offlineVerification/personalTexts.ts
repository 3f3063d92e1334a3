import type { ParsedLeaf } from '../audit/leaf.ts'
import { isCommitted } from '../audit/sequencing.ts'
import type { Erasures } from '../auditVerification/erasures.ts'
import type { Find } from '../auditVerification/findings.ts'
import type { Range } from '../eventNumbers/ranges.ts'
import { type PersonalLine, readPersonal } from '../exportedLog/personalLines.ts'
import { recordIn } from '../exportedLog/records.ts'
import type { TileFiles } from '../exportedLog/tileFiles.ts'
import { widthAt } from '../transparency/tiles.ts'
import { tileWidth } from '../transparency/tree.ts'
import type { RecordFind } from './findRecord.ts'

export interface PersonalReading {
  readonly size: number
  readonly tiles: TileFiles
  readonly find: Find
  readonly findRecord: RecordFind
  readonly erasures: Erasures
  /** Indexes of records that say nothing that counts, in order. */
  readonly unreadable: readonly Range[]
}

/** Compares the personal texts with what the records commit to. Returns how many were erased. */
export async function checkPersonal(chunks: AsyncIterable<Uint8Array>, reading: PersonalReading): Promise<number> {
  const { size, tiles, find, unreadable } = reading
  const lines = readPersonal(chunks, size, find)
  let line = (await lines.next()).value
  let [erased, passed] = [0, 0]
  const isReadable = (record: number) => {
    while ((unreadable[passed]?.[1] ?? record) < record) passed++
    return (unreadable[passed]?.[0] ?? record + 1) > record
  }
  for (let index = 0; index * tileWidth < size; index++) {
    const width = widthAt({ level: 'entries', index }, size)
    const leaves = tiles.peekLeaves({ level: 'entries', index, width })
    for (let at = 0; at < width; at++) {
      const record = index * tileWidth + at
      const own = line?.index === record ? line : undefined
      if (own) line = (await lines.next()).value
      const content = isReadable(record) ? leaves?.[at] : undefined
      const leaf = content && recordIn(content)
      if (leaf) erased += checkTexts(record, leaf, own, reading)
    }
  }
  while (line) line = (await lines.next()).value
  return erased
}

/** Returns how many texts of a record were erased. */
function checkTexts(
  index: number,
  leaf: ParsedLeaf,
  line: PersonalLine | undefined,
  { findRecord, erasures }: PersonalReading,
): number {
  let erased = 0
  for (const role of ['by', 'about'] as const) {
    const text = line?.[role] ?? null
    if (isCommitted(leaf[role]?.private, text)) continue
    const column = `${role}_private` as const
    if (text === null && erasures.covers(leaf, index, column)) erased++
    else findRecord(index, leaf, `had its ${column} ${text === null ? 'removed' : 'changed'}`)
  }
  return erased
}
