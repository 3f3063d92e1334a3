import { createNoteSigner } from '../../../src/domain/transparency/signedNote.ts'
import { origin, sampleExport, sampleRecord, signer, systemRecord } from './sampleLog.ts'
import {
  changed,
  changedExport,
  cut,
  flipped,
  kept,
  named,
  removed,
  replaced,
  rewritten,
  six,
  type Vector,
  withRecords,
} from './vector.ts'

const tile = 'tile/0/000.p/6'
const bundle = 'tile/entries/000.p/6'
const impostor = createNoteSigner(origin, Buffer.alloc(32, 8))
const editedLeaf = sampleRecord(5, { outcome: 'refused' })

/** Exports of six records in which someone has changed files. */
export const fileVectors: readonly Vector[] = [
  { name: 'an untouched log', files: changed(), findings: [] },
  { name: 'an empty log', files: sampleExport([]), findings: [] },
  { name: 'a log of one record', files: sampleExport(six.slice(0, 1)), findings: [] },
  {
    name: 'a record that was edited',
    files: changed(replaced(bundle, 'request-5', 'request-4')),
    findings: [`${named(4)} was edited`],
  },
  {
    name: 'two records that were edited',
    files: changed(replaced(bundle, 'request-5', 'request-4'), replaced(bundle, 'request-2', 'request-1')),
    findings: [`${named(1)} was edited`, `${named(4)} was edited`],
  },
  {
    name: 'a record that is no JSON any more',
    files: changed(replaced(bundle, '"request":"request-5"', '"request";"request-5"')),
    findings: ['record 4 was edited'],
  },
  {
    name: 'two records that were swapped',
    files: rewritten(withRecords({ 3: six[4] as never, 4: six[3] as never })),
    findings: ['kept checkpoint 3 (size 6) does not fit the records: the change is in records 3 to 5'],
  },
  {
    name: 'a tile that was changed',
    files: changed(flipped(tile, 100)),
    findings: [`${tile} was changed`],
  },
  {
    name: 'a tile and a record that were changed apart',
    files: changed(flipped(tile, 32 * 3), replaced(bundle, 'request-5', 'request-4')),
    findings: [
      'kept checkpoint 3 (size 6) does not fit the records: the change is in records 3 to 5',
      `${named(3)} does not have the hash that ${tile} has`,
      `${named(4)} does not have the hash that ${tile} has`,
    ],
  },
  {
    name: 'a record that was edited with its hash',
    files: rewritten(withRecords({ 4: editedLeaf })),
    findings: ['kept checkpoint 3 (size 6) does not fit the records: the change is in records 3 to 5'],
  },
  {
    name: 'a log that was rewritten without the key',
    files: rewritten(withRecords({ 0: systemRecord(1, 'server.started', { version: '0' }), 4: editedLeaf })),
    findings: ['kept checkpoint 1 (size 1) does not fit the records: the change is in record 0'],
  },
  {
    name: 'a log that was rewritten, without kept checkpoints',
    files: changedExport(rewritten(withRecords({ 4: editedLeaf })), removed('checkpoints')),
    findings: ['the checkpoint (size 6) does not fit the records: the change is in records 0 to 5'],
    notes: ['the export has no kept checkpoints'],
  },
  {
    name: 'a checkpoint with a wrong signature',
    files: changed(replaced('checkpoint', '\n6\n', '\n7\n')),
    findings: [`the checkpoint has a wrong signature of ${origin}`],
  },
  {
    name: 'a checkpoint that another key signed',
    files: sampleExport(six, { signers: [impostor] }),
    findings: ['the checkpoint is not signed by a given key'],
  },
  {
    name: 'a checkpoint under the name of another log',
    files: sampleExport(six, { signers: [createNoteSigner('other.example.com/log', Buffer.alloc(32, 7)), signer] }),
    findings: ['the checkpoint has the name of another log: other.example.com/log'],
  },
  {
    name: 'a checkpoint that was cut',
    files: changed(cut('checkpoint', 10)),
    findings: ['the checkpoint is malformed'],
  },
  {
    name: 'a checkpoint that is empty',
    files: changed(cut('checkpoint', 1000)),
    findings: ['the checkpoint is malformed'],
  },
  { name: 'a tile that is missing', files: changed(removed(tile)), findings: [`${tile} is missing`] },
  { name: 'a tile that was cut', files: changed(cut(tile, 1)), findings: [`${tile} is malformed`] },
  { name: 'a tile that was cut by a hash', files: changed(cut(tile, 32)), findings: [`${tile} is malformed`] },
  { name: 'a bundle that is missing', files: changed(removed(bundle)), findings: [`${bundle} is missing`] },
  { name: 'a bundle that was cut', files: changed(cut(bundle, 1)), findings: [`${bundle} is malformed`] },
  {
    name: 'a bundle with another record',
    files: changed([bundle, (content) => Buffer.concat([content, Buffer.from([0, 2]), Buffer.from('{}')])]),
    findings: [`${bundle} is malformed`],
  },
  {
    name: 'a tile and its bundle that are missing',
    files: changed(removed(tile), removed(bundle)),
    findings: [`${tile} is missing`, `${bundle} is missing`],
    notes: ['checkpoints not compared, because the records up to them are not there: 4'],
  },
  {
    name: 'a kept checkpoint with a wrong signature',
    files: changed(replaced('checkpoints', '\n3\n', '\n2\n')),
    findings: [`kept checkpoint 2 has a wrong signature of ${origin}`],
  },
  {
    name: 'a kept checkpoint of an unknown key',
    files: changed(replaced('checkpoints', `— ${origin} `, `— ${origin}x `)),
    findings: ['kept checkpoint 1 (size 1) is not signed by a given key'],
  },
  {
    name: 'kept checkpoints that were cut',
    files: changed(cut('checkpoints', 1)),
    findings: ['the kept checkpoints are malformed after number 2'],
  },
  {
    name: 'kept checkpoints that are out of order',
    files: changed(['checkpoints', (content) => Buffer.concat([content, content.subarray(0, content.length / 3)])]),
    findings: ['kept checkpoint 4 (size 1) is out of order'],
  },
  {
    name: 'a kept checkpoint beyond the end of the log',
    files: changedExport(sampleExport(six.slice(0, 5), { kept: [1, 3, 5] }), [
      'checkpoints',
      () => sampleExport(six, { kept }).get('checkpoints'),
    ]),
    findings: ['kept checkpoint 3 (size 6) is beyond the end of the log at 5'],
  },
  {
    name: 'kept checkpoints without the newest',
    files: changed(['checkpoints', (content) => content.subarray(0, (content.length / 3) * 2)]),
    findings: ['the kept checkpoints end before the checkpoint (size 6)'],
  },
  {
    name: 'kept checkpoints that are empty',
    files: changed(['checkpoints', () => Buffer.alloc(0)]),
    findings: ['the kept checkpoints end before the checkpoint (size 6)'],
  },
]
