import type { Find } from '../auditVerification/findings.ts'
import type { TileFiles } from '../exportedLog/tileFiles.ts'
import { tilePath, tilesOf } from '../transparency/tiles.ts'
import { perfectRoot, tileWidth } from '../transparency/tree.ts'

/**
 * Compares the tiles above level 0 with the roots of those at level 0, the first of which are
 * known. `isSigned`: a checkpoint signs these.
 */
export function checkUpperTiles(
  tiles: TileFiles,
  size: number,
  { tileRoots, isSigned }: { readonly tileRoots: readonly Buffer[]; readonly isSigned: boolean },
  find: Find,
): void {
  let row: readonly Buffer[] = tileRoots
  let above: Buffer[] = []
  let current = 1
  for (const tile of tilesOf(size)) {
    if (tile.level === 0) continue
    if (tile.level !== current) [row, above, current] = [above, [], tile.level]
    const known = row.slice(tile.index * tileWidth, tile.index * tileWidth + tile.width)
    const stored = tiles.readHashes(tile)
    if (stored && known.some((hash, at) => !stored[at]?.equals(hash)))
      find(`${tilePath(tile)} ${isSigned ? 'was changed' : 'does not have the hashes of the records'}`)
    if (known.length === tileWidth) above.push(perfectRoot(known, 0, tileWidth))
  }
}

/** Reports the tiles that are missing, unless they were pruned. Returns whether any was. */
export function reportMissing(tiles: TileFiles, minimumIndex: number, find: Find): boolean {
  let pruned = false
  for (const tile of tiles.missing()) {
    const isPruned = (tile.level === 0 || tile.level === 'entries') && (tile.index + 1) * tileWidth <= minimumIndex
    if (!isPruned) find(`${tilePath(tile)} is missing`)
    pruned ||= isPruned
  }
  return pruned
}
