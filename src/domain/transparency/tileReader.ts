import type { ReadSubtree } from './proofs.ts'
import { type Tile, widthAt } from './tiles.ts'
import { perfectRoot, tileWidth } from './tree.ts'

export type HashTile = Tile & { readonly level: number }

/** The levels of the tree between two levels of tiles. */
const tileHeight = 8

/**
 * Returns a function that reads subtrees of a tree of this size from its tiles. Reads each tile
 * once, and keeps it.
 */
export function subtreesFrom(size: number, readTile: (tile: HashTile) => Promise<readonly Buffer[]>): ReadSubtree {
  const known = new Map<string, Promise<readonly Buffer[]>>()
  const tileAt = (level: number, index: number) => {
    const key = `${level}/${index}`
    const tile = known.get(key) ?? readTile({ level, index, width: widthAt({ level, index }, size) })
    known.set(key, tile)
    return tile
  }
  return async ({ height, index }) => {
    const width = 2 ** (height % tileHeight)
    const start = index * width
    const hashes = await tileAt(Math.floor(height / tileHeight), Math.floor(start / tileWidth))
    return perfectRoot(hashes, start % tileWidth, width)
  }
}
