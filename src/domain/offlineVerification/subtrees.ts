import { emptyRoot, hashChildren } from '../transparency/tree.ts'

/** A tree as the roots of its full subtrees, the largest first. */
export interface Subtrees {
  size(): number
  /** Adds a full subtree of 2^height leaves, where the size is a multiple of that. */
  append(hash: Buffer, height: number): void
  root(): Buffer
  /** Returns the roots of its full subtrees of 256 leaves. */
  tileRoots(): readonly Buffer[]
  copy(): Subtrees
}

/** The height of a tile. */
export const tileHeight = 8

interface State {
  size: number
  readonly hashes: Buffer[]
  readonly heights: number[]
  readonly tileRoots: Buffer[]
}

export function createSubtrees(state: State = { size: 0, hashes: [], heights: [], tileRoots: [] }): Subtrees {
  const { hashes, heights, tileRoots } = state
  return {
    size: () => state.size,
    append: (hash, height) => {
      state.size += 2 ** height
      let [merged, top] = [hash, height]
      while (heights.at(-1) === top) {
        heights.pop()
        merged = hashChildren(hashes.pop() as Buffer, merged)
        top++
        if (top === tileHeight) tileRoots.push(merged)
      }
      if (height === tileHeight) tileRoots.push(hash)
      hashes.push(merged)
      heights.push(top)
    },
    root: () =>
      hashes.reduceRight<Buffer | undefined>((right, left) => (right ? hashChildren(left, right) : left), undefined) ??
      emptyRoot,
    tileRoots: () => tileRoots,
    copy: () =>
      createSubtrees({ size: state.size, hashes: [...hashes], heights: [...heights], tileRoots: [...tileRoots] }),
  }
}
