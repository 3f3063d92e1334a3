import { emptyRoot, hashChildren } from './tree.ts'

/** A full subtree of 2^height leaves; `index` is its place among those of its height. */
export interface Subtree {
  readonly height: number
  readonly index: number
}

export type ReadSubtree = (subtree: Subtree) => Promise<Buffer>

/**
 * Returns the proof that a leaf is in a tree (RFC 6962 §2.1.1), from the sibling of the leaf up.
 */
export async function proveInclusion(index: number, size: number, read: ReadSubtree): Promise<readonly Buffer[]> {
  if (index < 0 || index >= size) throw new RangeError('The leaf is not in the tree.')
  return hashesOf(inclusionRanges(index, 0, size), read)
}

/**
 * Returns the proof that a tree extends a smaller one (RFC 6962 §2.1.2). Empty for the empty tree.
 */
export async function proveConsistency(from: number, size: number, read: ReadSubtree): Promise<readonly Buffer[]> {
  if (from < 0 || from > size) throw new RangeError('The former tree is larger.')
  return from === 0 ? [] : hashesOf(consistencyRanges(from, 0, size, true), read)
}

export async function readRoot(size: number, read: ReadSubtree): Promise<Buffer> {
  return size === 0 ? emptyRoot : readRange([0, size], read)
}

/** Leaves from the first to the one before the end. */
type Range = readonly [start: number, end: number]

function inclusionRanges(index: number, start: number, end: number): readonly Range[] {
  if (end - start === 1) return []
  const split = start + largestPowerBelow(end - start)
  return index < split
    ? [...inclusionRanges(index, start, split), [split, end]]
    : [...inclusionRanges(index, split, end), [start, split]]
}

/** `isKnown`: the verifier has the hash of the range if it ends where the former tree does. */
function consistencyRanges(from: number, start: number, end: number, isKnown: boolean): readonly Range[] {
  if (from === end) return isKnown ? [] : [[start, end]]
  const split = start + largestPowerBelow(end - start)
  return from <= split
    ? [...consistencyRanges(from, start, split, isKnown), [split, end]]
    : [...consistencyRanges(from, split, end, false), [start, split]]
}

async function hashesOf(ranges: readonly Range[], read: ReadSubtree): Promise<readonly Buffer[]> {
  const hashes: Buffer[] = []
  for (const range of ranges) hashes.push(await readRange(range, read))
  return hashes
}

/** Reads the hash of a range that a split of the tree made. */
async function readRange([start, end]: Range, read: ReadSubtree): Promise<Buffer> {
  const width = end - start
  const height = heightOf(width)
  if (height !== undefined) return read({ height, index: start / width })
  const split = start + largestPowerBelow(width)
  return hashChildren(await readRange([start, split], read), await readRange([split, end], read))
}

/** Returns the binary logarithm of a power of two, and undefined for another count. */
function heightOf(count: number): number | undefined {
  let [rest, height] = [count, 0]
  for (; rest % 2 === 0; height++) rest /= 2
  return rest === 1 ? height : undefined
}

/** Returns the largest power of two below a count of at least 2. */
function largestPowerBelow(count: number): number {
  let power = 1
  while (power * 2 < count) power *= 2
  return power
}

export interface InclusionProof {
  readonly index: number
  readonly size: number
  readonly leafHash: Buffer
  readonly proof: readonly Buffer[]
  readonly root: Buffer
}

/** Verifies that a leaf is in a tree (RFC 9162 §2.1.3.2). */
export function verifyInclusion({ index, size, leafHash, proof, root }: InclusionProof): boolean {
  if (!isCount(index) || !isCount(size) || index >= size) return false
  let [at, last, hash] = [index, size - 1, leafHash]
  for (const sibling of proof) {
    if (last === 0) return false
    if (isOdd(at) || at === last) {
      hash = hashChildren(sibling, hash)
      while (!isOdd(at) && at !== 0) [at, last] = [half(at), half(last)]
    } else hash = hashChildren(hash, sibling)
    ;[at, last] = [half(at), half(last)]
  }
  return last === 0 && hash.equals(root)
}

export interface ConsistencyProof {
  readonly from: number
  readonly fromRoot: Buffer
  readonly size: number
  readonly root: Buffer
  readonly proof: readonly Buffer[]
}

/** Verifies that a tree extends a smaller one (RFC 9162 §2.1.4.2). */
export function verifyConsistency({ from, fromRoot, size, root, proof }: ConsistencyProof): boolean {
  if (!isCount(from) || !isCount(size) || from > size) return false
  if (from === size) return proof.length === 0 && fromRoot.equals(root)
  if (from === 0) return proof.length === 0 && fromRoot.equals(emptyRoot)
  let [at, last] = [from - 1, size - 1]
  while (isOdd(at)) [at, last] = [half(at), half(last)]
  const [first, ...rest] = at === 0 ? [fromRoot, ...proof] : proof
  if (!first) return false
  let [former, current] = [first, first]
  for (const hash of rest) {
    if (last === 0) return false
    if (isOdd(at) || at === last) {
      former = hashChildren(hash, former)
      current = hashChildren(hash, current)
      while (!isOdd(at) && at !== 0) [at, last] = [half(at), half(last)]
    } else current = hashChildren(current, hash)
    ;[at, last] = [half(at), half(last)]
  }
  return last === 0 && former.equals(fromRoot) && current.equals(root)
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0
}

/** Sizes exceed 32 bits, so no bit operators. */
function isOdd(value: number): boolean {
  return value % 2 === 1
}

function half(value: number): number {
  return Math.floor(value / 2)
}
