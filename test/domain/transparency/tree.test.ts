import { describe, expect, test } from 'bun:test'
import { createHash } from 'node:crypto'
import {
  appendLeaves,
  type Edge,
  edgeWidths,
  emptyEdge,
  hashLeaf,
  rootOf,
} from '../../../src/domain/transparency/tree.ts'

/** MTH of RFC 6962 §2.1, literally. */
function definedRoot(hashes: readonly Buffer[]): Buffer {
  if (hashes.length === 0) return createHash('sha256').digest()
  if (hashes.length === 1) return hashes[0] as Buffer
  let split = 1
  while (split * 2 < hashes.length) split *= 2
  const [left, right] = [definedRoot(hashes.slice(0, split)), definedRoot(hashes.slice(split))]
  return createHash('sha256').update(Buffer.of(1)).update(left).update(right).digest()
}

const leafHash = (bytes: Buffer) => createHash('sha256').update(Buffer.of(0)).update(bytes).digest()
const numbered = (count: number) => Array.from({ length: count }, (_, index) => hashLeaf(`leaf ${index}`))
const append = (edge: Edge, hashes: readonly Buffer[]) => appendLeaves(edge, hashes).edge

describe('tree', () => {
  /** The leaves and roots of the reference implementation of RFC 6962. */
  const referenceLeaves = [
    '',
    '00',
    '10',
    '2021',
    '3031',
    '40414243',
    '5051525354555657',
    '606162636465666768696a6b6c6d6e6f',
  ].map((hex) => leafHash(Buffer.from(hex, 'hex')))
  test.each([
    [0, 'e3b0c442', '52b855'],
    [1, '6e340b9c', '7afa01d'],
    [2, 'fac54203', '00e3c125'],
    [3, 'aeb6bcfe', '29e06e77'],
    [4, 'd37ee418', '209614b7'],
    [5, '4e3bbb1f', '6264d4'],
    [6, '76e67dad', '2087ef'],
    [7, 'ddb89be4', '94a74c8c'],
    [8, '5dc9da79', '04328'],
  ])('has the RFC 6962 reference root at size %p', (size, start, end) => {
    const root = rootOf(append(emptyEdge, referenceLeaves.slice(0, size))).toString('hex')
    expect([root.slice(0, start.length), root.slice(-end.length)]).toEqual([start, end])
  })

  test('has the root that RFC 6962 defines at every size around a tile', () => {
    const hashes = numbered(600)
    const sizes = [0, 1, 2, 3, 127, 128, 129, 254, 255, 256, 257, 258, 511, 512, 513, 600]
    for (const size of sizes) {
      const leaves = hashes.slice(0, size)
      expect(rootOf(append(emptyEdge, leaves)).equals(definedRoot(leaves))).toBe(true)
    }
  })

  test('has the same root and nodes however the leaves are split into batches', () => {
    const hashes = numbered(70_000)
    const whole = appendLeaves(emptyEdge, hashes)
    let edge = emptyEdge
    const nodes = []
    let seed = 1
    while (edge.size < hashes.length) {
      seed = (seed * 48_271) % 2_147_483_647
      const batch = appendLeaves(edge, hashes.slice(edge.size, edge.size + (seed % 700)))
      edge = batch.edge
      nodes.push(...batch.nodes)
    }
    const sorted = (list: typeof whole.nodes) => list.toSorted((a, b) => a.level - b.level || a.index - b.index)
    expect(sorted(nodes)).toEqual(sorted(whole.nodes))
    expect(rootOf(edge).equals(rootOf(whole.edge))).toBe(true)
    expect(rootOf(edge).equals(definedRoot(hashes))).toBe(true)
    expect(whole.nodes.filter(({ level }) => level === 2)).toHaveLength(1)
  })

  test('hashes a leaf of hostile text as its UTF-8 bytes', () => {
    for (const text of ['\u2028"\\', '😀'.repeat(1000), JSON.stringify('\0\ud800')])
      expect(hashLeaf(text).equals(leafHash(Buffer.from(text)))).toBe(true)
  })

  test.each([0, 1, 255, 256, 257, 65_535, 65_536, 65_537, 2 ** 33 + 5])(
    'knows the width of the edge at size %p',
    (size) => {
      const widths = edgeWidths(size)
      expect(widths.reduce((sum, width, level) => sum + width * 256 ** level, 0)).toBe(size)
      expect(widths.every((width) => width < 256)).toBe(true)
    },
  )
})
