import { createSubtrees, type Subtrees, tileHeight } from './subtrees.ts'

/** The tree of the records and, from where they differ, that of the hashes in the tiles. */
export interface TwoTrees {
  size(): number
  /** Adds a leaf by the hash of its record and by the one in its tile. */
  append(record: Buffer, stored: Buffer): void
  /** Adds 256 leaves by the root of their tile. */
  appendTile(root: Buffer): void
  hasRoot(root: Buffer): boolean
  /**
   * Returns which of them has the root. It continues alone; without any, that of the records does.
   */
  settle(root: Buffer): 'records' | 'tiles' | 'neither'
  tileRoots(): readonly Buffer[]
}

export function createTwoTrees(): TwoTrees {
  let records = createSubtrees()
  let tiles: Subtrees | undefined
  return {
    size: () => records.size(),
    append: (record, stored) => {
      if (record !== stored && !record.equals(stored)) tiles ??= records.copy()
      records.append(record, 0)
      tiles?.append(stored, 0)
    },
    appendTile: (root) => {
      records.append(root, tileHeight)
      tiles?.append(root, tileHeight)
    },
    hasRoot: (root) => records.root().equals(root) || tiles?.root().equals(root) === true,
    settle: (root) => {
      const isOfRecords = records.root().equals(root)
      const isOfTiles = !isOfRecords && tiles?.root().equals(root) === true
      if (tiles && isOfTiles) records = tiles
      tiles = undefined
      return isOfRecords ? 'records' : isOfTiles ? 'tiles' : 'neither'
    },
    tileRoots: () => records.tileRoots(),
  }
}
