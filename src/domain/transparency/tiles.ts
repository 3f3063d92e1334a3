import { tileWidth } from './tree.ts'

/** A resource of c2sp.org/tlog-tiles: hashes of a level of the tree, or the leaves themselves. */
export interface Tile {
  readonly level: number | 'entries'
  /** Its place among those of its level, from 0. */
  readonly index: number
  /** 256, or less at the right edge of the tree. */
  readonly width: number
}

const pathBase = 1000
const digits = 3
const highestLevel = 63
const maxLeafLength = 0xffff
const lengthBytes = 2

/** Returns the path of a tile, such as `tile/0/x001/234.p/5`. */
export function tilePath({ level, index, width }: Tile): string {
  const parts: string[] = []
  for (let rest = index; parts.length === 0 || rest > 0; rest = Math.floor(rest / pathBase)) {
    const part = String(rest % pathBase).padStart(digits, '0')
    parts.unshift(parts.length === 0 ? part : `x${part}`)
  }
  const partial = width === tileWidth ? '' : `.p/${width}`
  return `tile/${level}/${parts.join('/')}${partial}`
}

const tileFormat = /^tile\/(entries|\d{1,2})\/((?:x\d{3}\/){0,5}\d{3})(?:\.p\/(\d{1,3}))?$/

/** Returns the tile of a path. Undefined unless `tilePath` writes the path so. */
export function parseTilePath(path: string): Tile | undefined {
  const [, name = '', parts, width = String(tileWidth)] = tileFormat.exec(path) ?? []
  if (parts === undefined) return undefined
  const level = name === 'entries' ? name : Number(name)
  const tile: Tile = { level, index: Number(parts.replaceAll(/[x/]/g, '')), width: Number(width) }
  const isInRange = Number.isSafeInteger(tile.index) && tile.width >= 1 && tile.width <= tileWidth
  const isLevel = level === 'entries' || level <= highestLevel
  return isInRange && isLevel && tilePath(tile) === path ? tile : undefined
}

/**
 * Returns how many hashes or leaves a tree of this size has in a tile; 0 if it has no such tile.
 */
export function widthAt({ level, index }: Pick<Tile, 'level' | 'index'>, size: number): number {
  const count = Math.floor(size / tileWidth ** (level === 'entries' ? 0 : level))
  return Math.max(0, Math.min(tileWidth, count - index * tileWidth))
}

/** Yields all tiles of a tree, level by level. */
export function* tilesOf(size: number): Generator<Tile & { readonly level: number }, void> {
  for (let level = 0, count = size; count > 0; level++, count = Math.floor(count / tileWidth))
    for (let index = 0; index * tileWidth < count; index++)
      yield { level, index, width: Math.min(tileWidth, count - index * tileWidth) }
}

/** Returns the content of an entry bundle. Throws for a leaf that is too long for the format. */
export function writeBundle(leaves: readonly string[]): Buffer {
  return Buffer.concat(
    leaves.flatMap((leaf) => {
      const bytes = Buffer.from(leaf)
      if (bytes.length > maxLeafLength) throw new Error('A leaf is too long for an entry bundle.')
      const length = Buffer.alloc(lengthBytes)
      length.writeUInt16BE(bytes.length)
      return [length, bytes]
    }),
  )
}

/** Returns the leaves of an entry bundle. Undefined if it is malformed. */
export function readBundle(bundle: Buffer): readonly Buffer[] | undefined {
  const leaves: Buffer[] = []
  for (let start = 0; start < bundle.length; ) {
    if (start + lengthBytes > bundle.length) return undefined
    const end = start + lengthBytes + bundle.readUInt16BE(start)
    if (end > bundle.length) return undefined
    leaves.push(bundle.subarray(start + lengthBytes, end))
    start = end
  }
  return leaves
}
