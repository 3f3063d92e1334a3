import { createNoteSigner } from '../../../src/domain/transparency/signedNote.ts'
import { createTestWitness } from '../witnesses/testWitness.ts'
import {
  checkpointAt,
  origin,
  type SampleRecord,
  sampleExport,
  sampleRecord,
  signer,
  systemRecord,
} from './sampleLog.ts'
import { changed, changedExport, kept, replaced, six, type Vector, withRecords } from './vector.ts'

const witness = createTestWitness('witness.example/w1', 1)
const other = createTestWitness('witness.example/w2', 2)
const policy = `log ${signer.vkey}\nwitness one ${witness.vkey}\nwitness two ${other.vkey}\ngroup both 2 one two\nquorum one\n`
const note = checkpointAt(six, 6)
const text = note.slice(0, note.indexOf('\n\n') + 1)
const cosigned = (...lines: readonly string[]) =>
  changedExport(sampleExport(six, { kept }), ['checkpoint', () => Buffer.from(note + lines.join(''))])
const [byOne, byTwo] = [witness.cosign(text, 1_700_000_000), other.cosign(text, 1_700_000_000)]
/** A signature of one witness under the name and id of another. */
const forged =
  byTwo.split(' ')[0] +
  ` witness.example/w2 ${Buffer.concat([Buffer.from(byTwo.split(' ')[2] ?? '', 'base64').subarray(0, 12), Buffer.from(byOne.split(' ')[2] ?? '', 'base64').subarray(12)]).toString('base64')}\n`

const restoredOrigin = `${origin}/r20261128130000000`
const restoredSigner = createNoteSigner(restoredOrigin, Buffer.alloc(32, 9))
const restoredLog: readonly SampleRecord[] = [
  ...six.slice(0, 4),
  systemRecord(
    5,
    'audit.restored',
    { from: origin, size: 4, root: '' },
    { p: 'fedcba9876543210', n: 1, done: 0, time: '2026-11-28T13:00:00.001Z' },
  ),
]
const restored = () => sampleExport(restoredLog, { kept: [5], signers: [restoredSigner] })
const restoredKeys = [signer.vkey, restoredSigner.vkey]
const successor = createNoteSigner(origin, Buffer.alloc(32, 8))
const rotated: readonly SampleRecord[] = [...six, systemRecord(7, 'secret_key.changed', { reencrypted: 0 })]
const edited = withRecords({ 4: sampleRecord(5, { outcome: 'refused' }) })

/** Returns kept checkpoints of which only the newest is of the new key. */
function keptUntilRotation(records: readonly SampleRecord[]): Buffer {
  const newest = checkpointAt(rotated, 7, [successor])
  return Buffer.concat([
    sampleExport(records, { kept }).get('checkpoints') ?? Buffer.alloc(0),
    Buffer.from(`${newest}\n`),
  ])
}

/** Exports beside checkpoints and policies that the auditor has got from elsewhere. */
export const headVectors: readonly Vector[] = [
  {
    name: 'a log that continues the kept checkpoints',
    files: changed(),
    checkpoints: [0, 1, 4, 6].map((size) => checkpointAt(six, size)),
    findings: [],
  },
  {
    name: 'a log that was rewritten and signed again',
    files: sampleExport(edited, { kept }),
    checkpoints: [4, 5, 6].map((size) => checkpointAt(six, size)),
    findings: ['kept.txt: checkpoint 2 (size 5) does not fit the records: the change is in record 4'],
  },
  {
    name: 'a log that was cut and signed again',
    files: sampleExport(six.slice(0, 4), { kept: [1, 4] }),
    checkpoints: [3, 5, 6].map((size) => checkpointAt(six, size)),
    findings: ['kept.txt: checkpoint 3 (size 6) is beyond the end of the log at 4'],
  },
  {
    name: 'a log that was begun again',
    files: sampleExport([]),
    checkpoints: [checkpointAt(six, 6)],
    findings: ['kept.txt: checkpoint 1 (size 6) is beyond the end of the log at 0'],
  },
  {
    name: 'a record that was edited with its hash, next to a kept checkpoint',
    files: changedExport(
      sampleExport(edited, { kept: [] }),
      ['checkpoint', () => Buffer.from(note)],
      ['checkpoints', () => Buffer.from(`${note}\n`)],
    ),
    checkpoints: [checkpointAt(six, 4)],
    findings: ['kept checkpoint 1 (size 6) does not fit the records: the change is in records 4 to 5'],
  },
  { name: 'a restored log', files: restored(), vkeys: restoredKeys, findings: [] },
  {
    name: 'a restored log that lost records of a kept checkpoint',
    files: restored(),
    vkeys: restoredKeys,
    checkpoints: [3, 6].map((size) => checkpointAt(six, size)),
    findings: [],
    notes: ['given checkpoints of records that the restore at record 4 lost: 1'],
  },
  {
    name: 'a restored log with another record below the restored size',
    files: sampleExport(
      [...withRecords({ 2: sampleRecord(3, { outcome: 'refused' }) }).slice(0, 4), ...restoredLog.slice(4)],
      {
        signers: [restoredSigner],
      },
    ),
    vkeys: restoredKeys,
    checkpoints: [checkpointAt(six, 3)],
    findings: ['kept.txt: checkpoint 1 (size 3) does not fit the records: the change is in records 0 to 2'],
  },
  {
    name: 'a checkpoint that has the cosignatures of the policy',
    files: cosigned(byOne, byTwo),
    vkeys: [],
    policy: policy.replace('quorum one', 'quorum both'),
    findings: [],
  },
  {
    name: 'a checkpoint without the cosignatures of the policy',
    files: cosigned(byOne),
    vkeys: [],
    policy: policy.replace('quorum one', 'quorum both'),
    findings: ['the checkpoint does not have the cosignatures that the policy requires'],
  },
  {
    name: 'a wrong cosignature',
    files: cosigned(byOne, forged),
    vkeys: [],
    policy,
    findings: ['the checkpoint has a wrong cosignature of two'],
  },
  {
    name: 'a log whose SECRET_KEY was changed, with the former key',
    files: changedExport(sampleExport(rotated, { signers: [successor] }), [
      'checkpoints',
      () => keptUntilRotation(six),
    ]),
    vkeys: [successor.vkey, signer.vkey],
    findings: [],
  },
  {
    name: 'a log whose SECRET_KEY was changed, without the former key',
    files: changedExport(sampleExport(rotated, { signers: [successor] }), [
      'checkpoints',
      () => keptUntilRotation(six),
    ]),
    vkeys: [successor.vkey],
    findings: [],
    notes: ['3 kept checkpoints are signed by a former key that was not given'],
  },
  {
    name: 'a kept checkpoint of a former key that does not fit',
    files: changedExport(sampleExport(rotated, { signers: [successor] }), [
      'checkpoints',
      () => keptUntilRotation(edited),
    ]),
    vkeys: [successor.vkey],
    findings: ['kept checkpoint 3 (size 6) does not fit the records: the change is in records 0 to 5'],
    notes: ['2 kept checkpoints are signed by a former key that was not given'],
  },
  {
    name: 'a kept checkpoint of an unknown key after the last change of SECRET_KEY',
    files: changedExport(sampleExport(rotated, { signers: [successor] }), [
      'checkpoints',
      () => sampleExport(rotated, { kept: [7] }).get('checkpoints'),
    ]),
    vkeys: [successor.vkey],
    findings: ['kept checkpoint 1 (size 7) is not signed by a given key'],
  },
  {
    name: 'a kept checkpoint with a wrong cosignature',
    files: changedExport(cosigned(byOne), ['checkpoints', () => Buffer.from(`${note}${forged}\n`)]),
    vkeys: [],
    policy,
    findings: ['kept checkpoint 1 has a wrong cosignature of two'],
  },
  {
    name: 'a checkpoint whose name was changed',
    files: changed(replaced('checkpoint', origin, `${origin}x`)),
    findings: [`the checkpoint has a wrong signature of ${origin}`],
  },
  {
    name: 'a log that was rewritten and signed again between two checkpoints of the auditor',
    files: sampleExport(edited, { kept: [1, 2, 3, 4, 5, 6] }),
    checkpoints: [2, 6].map((size) => checkpointAt(six, size)),
    findings: ['kept.txt: checkpoint 2 (size 6) does not fit the records: the change is in records 2 to 5'],
  },
]
