import { processId, type SampleRecord, sampleExport, sampleRecords, systemRecord } from './sampleLog.ts'
import { changedExport, cut, flipped, named, removed, rewritten, type Vector } from './vector.ts'

const long = sampleRecords(600)
const kept = [200, 256, 300, 512, 600]
const copy = () => sampleExport(long, { kept })
const pruned = (minimum: number, numbers = `1-${minimum}`): readonly SampleRecord[] => [
  ...long,
  systemRecord(601, 'audit.pruned', {
    minimum_index: minimum,
    before: '2026-11-28T12:08:33.000Z',
    key_changed: false,
    processes: [`${processId} ${numbers}`],
  }),
]
const prunedTiles = ['tile/0/000', 'tile/0/001', 'tile/entries/000', 'tile/entries/001'].map(removed)
/** What is left of the personal texts after pruning. */
const prunedTexts: Parameters<typeof changedExport>[1] = [
  'private.ndjson',
  (content) => content.subarray(content.indexOf('{"index":512')),
]
const textRemoved = (index: number) => `${named(index, long[index])} had its by_private removed`

/** Exports with several tiles. */
export const longVectors: readonly Vector[] = [
  ...[255, 256, 257, 600].map((size) => ({
    name: `a log of ${size} records`,
    files: sampleExport(long.slice(0, size), { kept: [size] }),
    findings: [],
  })),
  {
    name: 'a tile of level 1 that was changed',
    files: changedExport(copy(), flipped('tile/1/000.p/2', 40)),
    findings: ['tile/1/000.p/2 was changed'],
  },
  {
    name: 'a tile of level 1 that is missing',
    files: changedExport(copy(), removed('tile/1/000.p/2')),
    findings: ['tile/1/000.p/2 is missing'],
  },
  {
    name: 'a tile of level 1 that was cut',
    files: changedExport(copy(), cut('tile/1/000.p/2', 32)),
    findings: ['tile/1/000.p/2 is malformed'],
  },
  {
    name: 'a full bundle that is missing',
    files: changedExport(copy(), removed('tile/entries/001')),
    findings: ['tile/entries/001 is missing'],
  },
  {
    name: 'a full tile that is missing with its bundle',
    files: changedExport(copy(), removed('tile/0/000'), removed('tile/entries/000')),
    findings: ['tile/0/000 is missing', 'tile/entries/000 is missing'],
    notes: ['checkpoints not compared, because the records up to them are not there: 1'],
  },
  {
    name: 'records that were edited in several tiles',
    files: changedExport(
      copy(),
      flipped('tile/entries/000', -20),
      flipped('tile/entries/001', -20),
      flipped('tile/0/002.p/88', -1),
    ),
    findings: ['record 255 was edited', 'record 511 was edited', 'tile/0/002.p/88 was changed'],
  },
  {
    name: 'rewritten records under a tile of level 1',
    files: changedExport(
      rewritten([...long.slice(0, 400), systemRecord(401, 'logout'), ...long.slice(401)], { kept, original: long }),
      ['tile/1/000.p/2', () => copy().get('tile/1/000.p/2')],
    ),
    findings: [
      'kept checkpoint 4 (size 512) does not fit the records: the change is in records 300 to 511',
      'tile/1/000.p/2 does not have the hashes of the records',
    ],
  },
  {
    name: 'a pruned log',
    files: changedExport(sampleExport(pruned(512), { kept: [...kept, 601] }), ...prunedTiles, prunedTexts),
    findings: [],
    notes: [
      'records 0 to 511 were pruned',
      'checkpoints not compared, because the records up to them are not there: 2',
    ],
  },
  {
    name: 'a log whose beginning was removed',
    files: changedExport(copy(), ...prunedTiles, prunedTexts),
    findings: [
      'tile/0/000 is missing',
      'tile/entries/000 is missing',
      'tile/0/001 is missing',
      'tile/entries/001 is missing',
    ],
    notes: ['checkpoints not compared, because the records up to them are not there: 2'],
  },
  {
    name: 'a log of which more was removed than it says was pruned',
    files: changedExport(sampleExport(pruned(256), { kept: [...kept, 601] }), ...prunedTiles, prunedTexts),
    findings: ['tile/0/001 is missing', 'tile/entries/001 is missing'],
    notes: [
      'records 0 to 255 were pruned',
      'checkpoints not compared, because the records up to them are not there: 2',
    ],
  },
  {
    name: 'a pruned log with a changed tile of level 1',
    files: changedExport(
      sampleExport(pruned(512), { kept: [...kept, 601] }),
      ...prunedTiles,
      prunedTexts,
      flipped('tile/1/000.p/2', 1),
    ),
    findings: ['kept checkpoint 2 (size 256) does not fit the records: the change is in records 0 to 255'],
    notes: [
      'records 0 to 511 were pruned',
      'checkpoints not compared, because the records up to them are not there: 2',
    ],
  },
  {
    name: 'a pruned log with a removed event',
    files: changedExport(sampleExport(pruned(512).toSpliced(550, 1), { kept: [] }), ...prunedTiles, prunedTexts),
    findings: [`event 551 of process ${processId} was removed between the indexes 549 and 550`],
    notes: ['records 0 to 511 were pruned'],
  },
  {
    name: 'a log without the texts of many records',
    files: changedExport(copy(), ['private.ndjson', (content) => content.subarray(0, content.indexOf('{"index":550'))]),
    findings: [...Array.from({ length: 20 }, (_, at) => textRemoved(550 + at)), '30 more findings'],
  },
  {
    name: 'a pruned log whose record does not list an event',
    files: changedExport(sampleExport(pruned(512, '1-99,101-512'), { kept: [] }), ...prunedTiles, prunedTexts),
    findings: [`event 100 of process ${processId} was removed before index 512`],
    notes: ['records 0 to 511 were pruned'],
  },
]
