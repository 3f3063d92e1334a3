import { describe, expect, test } from 'bun:test'
import {
  proveConsistency,
  proveInclusion,
  readRoot,
  verifyConsistency,
  verifyInclusion,
} from '../../../src/domain/transparency/proofs.ts'
import { subtreesFrom } from '../../../src/domain/transparency/tileReader.ts'
import { readTlogProof, writeSpicy, writeTlogProof } from '../../../src/domain/transparency/tlogProof.ts'
import {
  appendLeaves,
  emptyEdge,
  emptyRoot,
  hashChildren,
  hashLeaf,
  rootOf,
} from '../../../src/domain/transparency/tree.ts'

const leaves = Array.from({ length: 66_000 }, (_, index) => hashLeaf(`leaf ${index}`))
const { nodes } = appendLeaves(emptyEdge, leaves)
const levels = [leaves, ...[1, 2].map((level) => nodes.filter((node) => node.level === level).map(({ hash }) => hash))]

const treeOf = (size: number) =>
  subtreesFrom(size, async ({ level, index, width }) => levels[level]?.slice(index * 256, index * 256 + width) ?? [])
const rootAt = (size: number) => rootOf(appendLeaves(emptyEdge, leaves.slice(0, size)).edge)

/** PATH of RFC 6962 §2.1.1, literally. */
function definedPath(index: number, hashes: readonly Buffer[]): readonly Buffer[] {
  if (hashes.length === 1) return []
  const split = splitOf(hashes.length)
  const [left, right] = [hashes.slice(0, split), hashes.slice(split)]
  return index < split
    ? [...definedPath(index, left), definedRoot(right)]
    : [...definedPath(index - split, right), definedRoot(left)]
}

/** SUBPROOF of RFC 6962 §2.1.2, literally. */
function definedSubproof(from: number, hashes: readonly Buffer[], isKnown: boolean): readonly Buffer[] {
  if (from === hashes.length) return isKnown ? [] : [definedRoot(hashes)]
  const split = splitOf(hashes.length)
  const [left, right] = [hashes.slice(0, split), hashes.slice(split)]
  return from <= split
    ? [...definedSubproof(from, left, isKnown), definedRoot(right)]
    : [...definedSubproof(from - split, right, false), definedRoot(left)]
}

function definedRoot(hashes: readonly Buffer[]): Buffer {
  if (hashes.length === 1) return hashes[0] as Buffer
  const split = splitOf(hashes.length)
  return hashChildren(definedRoot(hashes.slice(0, split)), definedRoot(hashes.slice(split)))
}

function splitOf(length: number): number {
  let split = 1
  while (split * 2 < length) split *= 2
  return split
}

const sizes = [1, 2, 3, 4, 5, 6, 7, 8, 9, 31, 32, 33]
const largeSizes = [255, 256, 257, 511, 512, 513, 65_535, 65_536, 65_537, 66_000]

describe('inclusion proof', () => {
  test('is the one that RFC 6962 defines', async () => {
    for (const size of sizes)
      for (let index = 0; index < size; index++)
        expect(await proveInclusion(index, size, treeOf(size))).toEqual([...definedPath(index, leaves.slice(0, size))])
  })

  test.each(largeSizes)('verifies at the edges of tiles of a tree of size %p', async (size) => {
    const [tree, root] = [treeOf(size), rootAt(size)]
    for (const index of [0, 1, 254, 255, 256, 257, 65_534, 65_535, 65_536, size - 1].filter((at) => at < size)) {
      const proof = await proveInclusion(index, size, tree)
      expect(verifyInclusion({ index, size, leafHash: leaves[index] as Buffer, proof, root })).toBe(true)
    }
  })

  test('does not verify with another index, size, leaf, root, or a hash changed, missing or added', async () => {
    for (const size of sizes)
      for (let index = 0; index < size; index++) {
        const proof = await proveInclusion(index, size, treeOf(size))
        const good = { index, size, leafHash: leaves[index] as Buffer, proof, root: rootAt(size) }
        const changed = proof.map((_, at) => proof.with(at, hashLeaf('other')))
        const wrong = [
          ...Array.from({ length: size + 2 }, (_, other) => ({ ...good, index: other })).filter(
            (_, at) => at !== index,
          ),
          { ...good, index: -1 },
          { ...good, index: index + 0.5 },
          { ...good, leafHash: hashLeaf('other') },
          { ...good, root: hashLeaf('other') },
          { ...good, proof: [...proof, hashLeaf('other')] },
          { ...good, proof: [hashLeaf('other'), ...proof] },
          { ...good, size: 0 },
          ...changed.map((other) => ({ ...good, proof: other })),
          ...proof.map((_, at) => ({ ...good, proof: proof.toSpliced(at, 1) })),
        ]
        expect(verifyInclusion(good)).toBe(true)
        expect(wrong.filter(verifyInclusion)).toEqual([])
      }
  })

  test('takes no root for a leaf', () => {
    const root = rootAt(7)
    expect(verifyInclusion({ index: 0, size: 7, leafHash: root, proof: [], root })).toBe(false)
  })

  test('is not made beyond the tree', async () => {
    await expect(proveInclusion(7, 7, treeOf(7))).rejects.toThrow(RangeError)
    await expect(proveInclusion(-1, 7, treeOf(7))).rejects.toThrow(RangeError)
  })
})

describe('consistency proof', () => {
  test('is the one that RFC 6962 defines', async () => {
    for (const size of sizes)
      for (let from = 1; from <= size; from++)
        expect(await proveConsistency(from, size, treeOf(size))).toEqual([
          ...definedSubproof(from, leaves.slice(0, size), true),
        ])
  })

  test.each(largeSizes)('verifies from the edges of tiles to size %p', async (size) => {
    const [tree, root] = [treeOf(size), rootAt(size)]
    for (const from of [0, 1, 255, 256, 257, 65_535, 65_536, size].filter((at) => at <= size)) {
      const proof = await proveConsistency(from, size, tree)
      expect(verifyConsistency({ from, fromRoot: rootAt(from), size, root, proof })).toBe(true)
    }
  })

  test('does not verify with other sizes, roots or hashes', async () => {
    for (const size of sizes)
      for (let from = 0; from <= size; from++) {
        const proof = await proveConsistency(from, size, treeOf(size))
        const good = { from, fromRoot: rootAt(from), size, root: rootAt(size), proof }
        const wrong = [
          { ...good, fromRoot: hashLeaf('other') },
          { ...good, from: size + 1 },
          { ...good, from: -1 },
          { ...good, proof: [...proof, hashLeaf('other')] },
          ...proof.map((_, at) => ({ ...good, proof: proof.toSpliced(at, 1) })),
          ...proof.map((_, at) => ({ ...good, proof: proof.with(at, hashLeaf('other')) })),
        ]
        expect(verifyConsistency(good)).toBe(true)
        expect(wrong.filter(verifyConsistency)).toEqual([])
        // From the empty tree, there is nothing that the new root must fit.
        expect(verifyConsistency({ ...good, root: hashLeaf('other') })).toBe(from === 0)
      }
  })

  test('is not made from a larger tree', async () => {
    await expect(proveConsistency(8, 7, treeOf(7))).rejects.toThrow(RangeError)
  })
})

test('tiles: have the root of the tree', async () => {
  expect(await readRoot(0, treeOf(0))).toEqual(emptyRoot)
  for (const size of [...sizes, ...largeSizes]) expect(await readRoot(size, treeOf(size))).toEqual(rootAt(size))
})

describe('tlog-proof', () => {
  const proof = { index: 3, hashes: leaves.slice(0, 2), note: 'log\n4\nroot\n\n— log AAAA\n' }
  const lines = proof.hashes.map((hash) => hash.toString('base64'))

  test('has a header, the index, the hashes and the checkpoint', () => {
    expect(writeTlogProof(proof).split('\n')).toEqual([
      'c2sp.org/tlog-proof@v1',
      'index 3',
      ...lines,
      '',
      ...proof.note.split('\n'),
    ])
    expect(`c2sp.org/tlog-proof@v1\n${writeSpicy(proof)}`).toBe(writeTlogProof(proof))
  })

  test('is read as it was written, also without a hash', () => {
    expect(readTlogProof(writeTlogProof(proof))).toEqual(proof)
    expect(readTlogProof(writeTlogProof({ ...proof, hashes: [] }))).toEqual({ ...proof, hashes: [] })
    expect(readTlogProof(writeTlogProof(proof).replace('index', 'extra AAAA\nindex'))).toEqual(proof)
  })

  test.each([
    ['no header', writeSpicy(proof)],
    ['another version', writeTlogProof(proof).replace('@v1', '@v2')],
    ['a leading zero', writeTlogProof(proof).replace('index 3', 'index 03')],
    ['an index above 2^53', writeTlogProof(proof).replace('index 3', 'index 9007199254740993')],
    ['a short hash', writeTlogProof(proof).replace(lines[0] ?? '', 'AAAA')],
    ['a hash without padding', writeTlogProof(proof).replace(/=\n/, '\n')],
    ['no empty line', `c2sp.org/tlog-proof@v1\nindex 3\n${lines[0]}\n`],
    ['nothing', ''],
  ])('with %s is malformed', (_, text) => {
    expect(readTlogProof(text)).toBeUndefined()
  })
})
