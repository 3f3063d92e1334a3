import type { ParsedLeaf } from '../audit/leaf.ts'
import type { Find } from '../auditVerification/findings.ts'
import { merged, type Range } from '../eventNumbers/ranges.ts'
import type { Head } from '../exportedLog/heads.ts'
import { hashOf, recordIn } from '../exportedLog/records.ts'
import type { TileFiles } from '../exportedLog/tileFiles.ts'
import { tilePath, widthAt } from '../transparency/tiles.ts'
import { tileWidth } from '../transparency/tree.ts'
import type { RecordFind } from './findRecord.ts'
import { createHeadCheck, type UndecidedHead } from './headCheck.ts'
import { createTwoTrees } from './twoTrees.ts'

export interface RecordReading {
  readonly size: number
  readonly tiles: TileFiles
  readonly heads: AsyncGenerator<Head, undefined>
  readonly find: Find
  readonly findRecord: RecordFind
  /** Receives each record that counts. */
  readonly onRecord: (leaf: ParsedLeaf, index: number) => void
  readonly onProgress: (checked: number) => Promise<void>
}

export interface ReadRecords {
  /** The roots of all full tiles of level 0 that are known. */
  readonly tileRoots: readonly Buffer[]
  /** Whether the newest checkpoint that a known key signed fits. */
  readonly isSigned: boolean
  readonly undecided: readonly UndecidedHead[]
  /** Checkpoints of sizes at which the tree is unknown. */
  readonly uncompared: number
  /** Records that say nothing that counts, as ranges in order. */
  readonly unreadable: readonly Range[]
}

/** Reads all records, and compares the tree that they make with every checkpoint. */
export async function readRecords(reading: RecordReading): Promise<ReadRecords> {
  const { size, tiles } = reading
  const trees = createTwoTrees()
  const unreadable: Range[] = []
  const onUnreadable = (first: number, last = first) => {
    unreadable.push([first, last])
  }
  const heads = createHeadCheck(trees, { ...reading, onUnreadable })
  await heads.compareAt(0)
  for (let index = 0; index * tileWidth < size; index++) {
    const start = index * tileWidth
    const tile = { level: 0, index, width: widthAt({ level: 0, index }, size) }
    const stored = tiles.readHashes(tile)
    const leaves = tiles.readLeaves({ ...tile, level: 'entries' })
    if (!leaves) onUnreadable(start, start + tile.width - 1)
    const hashes = leaves?.map(hashOf) ?? stored
    // The tree is unknown from here on, unless a tile above has the hash of this one.
    const isKnown = trees.size() === start
    if (isKnown && !hashes) appendFromAbove(index)
    for (let at = 0; at < tile.width; at++) {
      const [leaf, hash] = [leaves?.[at], hashes?.[at]]
      const other = stored?.[at] ?? hash
      if (isKnown && hash && other) trees.append(hash, other)
      if (leaf && hash && other) readRecord(start + at, leaf, hash.equals(other), tilePath(tile))
      if (isKnown && hash && heads.isDue(start + at + 1)) await heads.compareAt(start + at + 1)
    }
    if (trees.size() === start + tileWidth) await heads.compareAt(start + tileWidth)
    await reading.onProgress(start + tile.width)
  }
  await heads.finish()
  return { tileRoots: trees.tileRoots(), unreadable: merged(unreadable), ...heads.result() }

  function appendFromAbove(index: number): void {
    const above = { level: 1, index: Math.floor(index / tileWidth) }
    const hash = tiles.peekHashes({ ...above, width: widthAt(above, size) })?.[index % tileWidth]
    if (hash) trees.appendTile(hash)
  }

  function readRecord(index: number, content: Buffer, hasHash: boolean, tile: string): void {
    const leaf = recordIn(content)
    if (!hasHash) heads.suspect({ index, leaf, tile })
    else if (leaf) reading.onRecord(leaf, index)
    else {
      reading.findRecord(index, undefined, 'is not a record of this service')
      onUnreadable(index)
    }
  }
}
