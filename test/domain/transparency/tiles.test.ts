import { describe, expect, test } from 'bun:test'
import { joinNotes, splitNotes } from '../../../src/domain/transparency/notes.ts'
import { createNoteSigner, signNote } from '../../../src/domain/transparency/signedNote.ts'
import {
  parseTilePath,
  readBundle,
  type Tile,
  tilePath,
  tilesOf,
  widthAt,
  writeBundle,
} from '../../../src/domain/transparency/tiles.ts'

describe('tile path', () => {
  const paths: readonly (readonly [string, Tile])[] = [
    ['tile/0/000', { level: 0, index: 0, width: 256 }],
    ['tile/0/000.p/1', { level: 0, index: 0, width: 1 }],
    ['tile/2/999.p/255', { level: 2, index: 999, width: 255 }],
    ['tile/1/x001/234', { level: 1, index: 1234, width: 256 }],
    ['tile/entries/x001/x234/067.p/9', { level: 'entries', index: 1_234_067, width: 9 }],
    ['tile/63/x009/x007/x199/x254/x740/991', { level: 63, index: Number.MAX_SAFE_INTEGER, width: 256 }],
  ]
  test.each(paths)('%s stands for its tile', (path, tile) => {
    expect(tilePath(tile)).toBe(path)
    expect(parseTilePath(path)).toEqual(tile)
  })

  test.each([
    'tile/0/0',
    'tile/0/00',
    'tile/0/0000',
    'tile/0/x000/001',
    'tile/0/001/234',
    'tile/0/x001/x234',
    'tile/0/x1/000',
    'tile/0/000.p/0',
    'tile/0/000.p/01',
    'tile/0/000.p/256',
    'tile/0/000.p/',
    'tile/0/000.p',
    'tile/0/-01',
    'tile/00/000',
    'tile/64/000',
    'tile/-1/000',
    'tile/8/data/000',
    'tile/entries/',
    'tile/Entries/000',
    'tile/0/x009/x007/x199/x254/x740/992',
    'tile/0/x001/x000/x000/x000/x000/x000/000',
    'tile/0/000/',
    'tile/0//000',
    '/tile/0/000',
    'tile/0/000\n',
    'tile/0/../0/000',
    'tile/0/٠٠٠',
    '',
  ])('rejects %p', (path) => {
    expect(parseTilePath(path)).toBeUndefined()
  })
})

describe('tiles', () => {
  const namesOf = (size: number) => [...tilesOf(size)].map(tilePath)
  test.each([
    [0, []],
    [1, ['tile/0/000.p/1']],
    [255, ['tile/0/000.p/255']],
    [256, ['tile/0/000', 'tile/1/000.p/1']],
    [257, ['tile/0/000', 'tile/0/001.p/1', 'tile/1/000.p/1']],
  ])('of size %p are those of its full and partial rows', (size, names) => {
    expect(namesOf(size)).toEqual(names)
  })

  test('of size 65,536 have a full tile at level 1, and one hash above it', () => {
    expect(namesOf(65_536)).toHaveLength(258)
    expect(namesOf(65_536).slice(-3)).toEqual(['tile/0/255', 'tile/1/000', 'tile/2/000.p/1'])
    expect(namesOf(65_537).slice(-3)).toEqual(['tile/0/256.p/1', 'tile/1/000', 'tile/2/000.p/1'])
  })

  test('have a width of 0 beyond the edge', () => {
    const widths = [
      { level: 0, index: 1 },
      { level: 1, index: 0 },
      { level: 'entries', index: 9 },
      { level: 63, index: 0 },
    ] as const
    expect(widths.map((tile) => widthAt(tile, 255))).toEqual([0, 0, 0, 0])
    expect(widthAt({ level: 'entries', index: 0 }, 255)).toBe(255)
    expect(widthAt({ level: 6, index: 0 }, Number.MAX_SAFE_INTEGER)).toBe(31)
  })
})

describe('entry bundle', () => {
  test('has each leaf after its length', () => {
    expect(writeBundle(['a', 'é', '']).toString('hex')).toBe('0001610002c3a90000')
    expect(readBundle(writeBundle(['a', 'é', '']))?.map(String)).toEqual(['a', 'é', ''])
    expect(readBundle(Buffer.alloc(0))).toEqual([])
  })

  test('takes no leaf of 64 KiB', () => {
    expect(() => writeBundle(['x'.repeat(65_536)])).toThrow()
    expect(writeBundle(['x'.repeat(65_535)])).toHaveLength(65_537)
  })

  test.each(['00', '0001', '000261', '00016100'])('is malformed if it is cut: %s', (hex) => {
    expect(readBundle(Buffer.from(hex, 'hex'))).toBeUndefined()
  })
})

describe('notes in one file', () => {
  const signers = [7, 8].map((byte) => createNoteSigner('log', Buffer.alloc(32, byte)))
  const notes = [1, 2, 3].map((size) => signNote(`log\n${size}\nroot\n`, signers.slice(size % 2)))

  test('are split where they were joined', () => {
    expect(splitNotes(joinNotes(notes))).toEqual({ notes, rest: '' })
    expect(splitNotes('')).toEqual({ notes: [], rest: '' })
  })

  test('leave a rest if the last one is incomplete', () => {
    const text = joinNotes(notes)
    const last = text.length - joinNotes(notes.slice(2)).length
    for (let end = last; end < text.length; end++)
      expect(splitNotes(text.slice(0, end))).toEqual({ notes: notes.slice(0, 2), rest: text.slice(last, end) })
  })
})
