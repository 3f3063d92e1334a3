/**
 * The hashes of an RFC 6962 tree that its next leaves and its root need: per level, those on the
 * right that do not fill a tile of 256 yet. A hash of level n is the root of 256^n leaves.
 */
export interface Edge {
  readonly size: number
  readonly levels: readonly (readonly Buffer[])[]
}

/** The root of a full subtree of 256^level leaves; level 1 and up. */
export interface Node {
  readonly level: number
  readonly index: number
  readonly hash: Buffer
}

export const tileWidth = 256

export const emptyEdge: Edge = { size: 0, levels: [] }
export const emptyRoot: Buffer = sha256('')

export function hashLeaf(leaf: string): Buffer {
  return sha256(`\0${leaf}`)
}

/** Several times as fast as `createHash`. */
function sha256(data: string | Buffer): Buffer {
  const hash = Buffer.allocUnsafe(32)
  Bun.SHA256.hash(data, hash)
  return hash
}

export function hashChildren(left: Buffer, right: Buffer): Buffer {
  const node = Buffer.allocUnsafe(1 + left.length + right.length)
  node[0] = 1
  left.copy(node, 1)
  right.copy(node, 1 + left.length)
  return sha256(node)
}

/** Returns the edge after more leaves, and the nodes that they complete. */
export function appendLeaves(edge: Edge, hashes: readonly Buffer[]): { readonly edge: Edge; readonly nodes: Node[] } {
  const levels: Buffer[][] = []
  const nodes: Node[] = []
  let added: readonly Buffer[] = hashes
  let position = edge.size
  for (let level = 0; added.length > 0 || level < edge.levels.length; level++) {
    const row = [...(edge.levels[level] ?? []), ...added]
    const first = Math.floor(position / tileWidth)
    const completed: Buffer[] = []
    for (let start = 0; start + tileWidth <= row.length; start += tileWidth) {
      const hash = perfectRoot(row, start, tileWidth)
      nodes.push({ level: level + 1, index: first + completed.length, hash })
      completed.push(hash)
    }
    levels.push(row.slice(completed.length * tileWidth))
    added = completed
    position = first
  }
  return { edge: { size: edge.size + hashes.length, levels }, nodes }
}

/** A tree that grows leaf by leaf. Keeps as many hashes as its size has binary ones. */
export interface GrowingTree {
  /** Returns the nodes that the leaf completes. */
  append(hash: Buffer): readonly Node[]
  /** Replaces the tree by that of an edge. Without one, `appendTile` may follow. */
  restart(edge?: Edge): void
  /** Appends a full tile by its node. Only after a restart without an edge or other tiles. */
  appendTile(hash: Buffer): readonly Node[]
  root(): Buffer
}

export function growTree(): GrowingTree {
  const subtrees: Buffer[] = []
  let size = 0
  /** Appends a subtree of `width` leaves, and merges those that are complete. */
  const add = (hash: Buffer, width: number, level: number): Node[] => {
    const nodes: Node[] = []
    let merged = hash
    size += width
    if (level > 0) nodes.push({ level, index: size / width - 1, hash })
    for (let rest = size / width, height = 1; rest % 2 === 0; rest /= 2, height++) {
      merged = hashChildren(subtrees.pop() as Buffer, merged)
      if (height % 8 === 0) nodes.push({ level: level + height / 8, index: rest / 2 - 1, hash: merged })
    }
    subtrees.push(merged)
    return nodes
  }
  return {
    append: (hash) => add(hash, 1, 0),
    restart: (edge = emptyEdge) => {
      subtrees.splice(0, Number.POSITIVE_INFINITY, ...subtreesOf(edge))
      size = edge.size
    },
    appendTile: (hash) => add(hash, tileWidth, 1),
    root: () => foldSubtrees(subtrees),
  }
}

/** Returns the Merkle tree hash (RFC 6962 §2.1). */
export function rootOf(edge: Edge): Buffer {
  return foldSubtrees(subtreesOf(edge))
}

function subtreesOf({ levels }: Edge): Buffer[] {
  return levels.toReversed().flatMap(perfectSubtrees)
}

function foldSubtrees(subtrees: readonly Buffer[]): Buffer {
  return (
    subtrees.reduceRight<Buffer | undefined>((right, left) => (right ? hashChildren(left, right) : left), undefined) ??
    emptyRoot
  )
}

/** Returns for each level how many hashes the edge of a tree has. */
export function edgeWidths(size: number): readonly number[] {
  const widths: number[] = []
  // Sizes exceed 32 bits, so no shifts.
  for (let rest = size; rest > 0; rest = Math.floor(rest / tileWidth)) widths.push(rest % tileWidth)
  return widths
}

/** Splits a row into subtrees whose sizes are powers of two, the largest first. */
function perfectSubtrees(row: readonly Buffer[]): Buffer[] {
  const roots: Buffer[] = []
  let start = 0
  for (let width = tileWidth / 2; width >= 1; width /= 2) {
    if (row.length - start < width) continue
    roots.push(perfectRoot(row, start, width))
    start += width
  }
  return roots
}

/** Returns the root of a row of hashes, as many as a power of two, from `start` on. */
export function perfectRoot(row: readonly Buffer[], start: number, width: number): Buffer {
  let level = row.slice(start, start + width)
  while (level.length > 1) {
    const above: Buffer[] = []
    for (let index = 0; index < level.length; index += 2)
      above.push(hashChildren(level[index] as Buffer, level[index + 1] as Buffer))
    level = above
  }
  return level[0] as Buffer
}
