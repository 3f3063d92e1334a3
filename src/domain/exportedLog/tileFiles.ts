import type { Find } from '../auditVerification/findings.ts'
import { readBundle, type Tile, tilePath } from '../transparency/tiles.ts'
import type { ExportFiles } from './exportFiles.ts'

/** Reads tiles. Lists those that are missing, and reports those that are malformed. */
export interface TileFiles {
  readHashes(tile: Tile): readonly Buffer[] | undefined
  /** Reports nothing. */
  peekHashes(tile: Tile): readonly Buffer[] | undefined
  readLeaves(tile: Tile): readonly Buffer[] | undefined
  /** Reports nothing. */
  peekLeaves(tile: Tile): readonly Buffer[] | undefined
  missing(): readonly Tile[]
}

const hashLength = 32

export function openTiles(files: ExportFiles, find: Find): TileFiles {
  const missing: Tile[] = []
  let peeked: { readonly path: string; readonly hashes: readonly Buffer[] | undefined } | undefined

  const read = (tile: Tile, parse: typeof readBundle): readonly Buffer[] | undefined => {
    const content = files.read(tilePath(tile))
    const parsed = content && parse(content)
    if (parsed?.length === tile.width) return parsed
    if (content) find(`${tilePath(tile)} is malformed`)
    else missing.push(tile)
    return undefined
  }

  const peek = (tile: Tile, parse: typeof readBundle): readonly Buffer[] | undefined => {
    const content = files.read(tilePath(tile))
    const parsed = content && parse(content)
    return parsed?.length === tile.width ? parsed : undefined
  }

  return {
    readHashes: (tile) => read(tile, hashesIn),
    peekHashes: (tile) => {
      const path = tilePath(tile)
      if (peeked?.path !== path) peeked = { path, hashes: peek(tile, hashesIn) }
      return peeked.hashes
    },
    readLeaves: (tile) => read(tile, readBundle),
    peekLeaves: (tile) => peek(tile, readBundle),
    missing: () => missing,
  }
}

function hashesIn(content: Buffer): readonly Buffer[] | undefined {
  if (content.length % hashLength !== 0) return undefined
  return Array.from({ length: content.length / hashLength }, (_, at) =>
    content.subarray(at * hashLength, (at + 1) * hashLength),
  )
}
