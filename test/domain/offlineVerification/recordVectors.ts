import { alice, processId, type SampleRecord, sampleExport, sampleRecord, systemRecord } from './sampleLog.ts'
import { changed, kept, named, removed, replaced, six, type Vector, withRecords } from './vector.ts'

const bob = '22222222-2222-4222-8222-222222222222'
const erasedBy = (facts: object, members: object = {}) => systemRecord(7, 'audit.erased', facts, members)
const erasedOf = (id: string) => erasedBy({ erased: 5, below: 6 }, { about: { kind: 'user', id } })
const erasedByAge = (older_than: string) => erasedBy({ erased: 2, below: 6, older_than })
const without = ({ leaf }: SampleRecord): SampleRecord => ({ leaf, by: null, about: null })
const foreign: SampleRecord = { leaf: '{"v":2}', by: null, about: null }
const withEvents = (...records: readonly SampleRecord[]) => sampleExport([...six, ...records])

/** Returns the six records without the texts of the first ones. */
const erasedBefore = (index: number) => six.map((record, at) => (at < index ? without(record) : record))

/** The six records, of which four are of an actor without an id and have lost their texts. */
const entered = six.map((record, at): SampleRecord => {
  const isKnown = at === 0 || at === 5
  return isKnown ? record : { leaf: record.leaf.replace(`"id":"${alice}",`, ''), by: null, about: null }
})

/** Exports whose signed records, or the texts beside them, show that something is wrong. */
export const recordVectors: readonly Vector[] = [
  {
    name: 'an event that was removed before it reached the log',
    files: sampleExport(six.toSpliced(2, 1)),
    findings: [`event 3 of process ${processId} was removed between the indexes 1 and 2`],
  },
  {
    name: 'the first events of a process that were removed',
    files: sampleExport(six.slice(2)),
    findings: [1, 2].map((n) => `event ${n} of process ${processId} was removed before index 0`),
  },
  {
    name: 'many events that were removed',
    files: withEvents(sampleRecord(500, { done: 499 })),
    findings: [`events 7 to 499 of process ${processId} were removed between the indexes 5 and 6`],
  },
  {
    name: 'events that were lost, unsure or in flight',
    files: withEvents(sampleRecord(12, { done: 10, lost: '7-8', unsure: '9-10' })),
    findings: [],
    notes: ['events in flight when their process ended: 1', 'events in flight when their connection was lost: 2'],
  },
  {
    name: 'an event that was accepted as lost',
    files: withEvents(sampleRecord(9), systemRecord(10, 'audit.lost', { process: processId, numbers: '7-8' })),
    findings: [],
    notes: ['events lost by a restore or failover that was accepted: 2'],
  },
  {
    name: 'events that a restore lost',
    files: withEvents(systemRecord(9, 'audit.restored', { from: 'auth.example.com/former', size: 6, root: '' })),
    findings: [],
    notes: ['events lost by a restore or failover that was accepted: 2'],
  },
  {
    name: 'a copy of a record',
    files: withEvents(six[1] as SampleRecord),
    findings: [`${named(6, six[1])} is a copy of record 1`],
  },
  {
    name: 'a record that the service did not write',
    files: sampleExport(withRecords({ 2: foreign })),
    findings: ['record 2 is not a record of this service'],
  },
  {
    name: 'a record whose time is not in the form of the service',
    files: sampleExport(withRecords({ 2: sampleRecord(3, { time: '2026-02-30T00:00:00.000Z' }) })),
    findings: ['record 2 is not a record of this service'],
  },
  {
    name: 'a personal text that was changed',
    files: changed(replaced('private.ndjson', 'Alice Doe', 'Alice Roe')),
    findings: [`${named(1)} had its by_private changed`],
  },
  {
    name: 'a personal text that was removed',
    files: sampleExport(withRecords({ 3: without(six[3] as SampleRecord) }), { kept }),
    findings: [`${named(3)} had its by_private removed`],
  },
  {
    name: 'a personal text of a record that has none',
    files: sampleExport(withRecords({ 3: { ...(six[3] as SampleRecord), about: '{}' } }), { kept }),
    findings: [`${named(3)} had its about_private changed`],
  },
  {
    name: 'a line that is missing from the personal texts',
    files: changed(['private.ndjson', (content) => content.subarray(0, content.lastIndexOf('{"index"'))]),
    findings: [`${named(5)} had its by_private removed`],
  },
  {
    name: 'a malformed line in the personal texts',
    files: changed(replaced('private.ndjson', '{"index":4', '{"inday":4')),
    findings: ['line 5 of private.ndjson is malformed', `${named(4)} had its by_private removed`],
  },
  {
    name: 'a repeated line in the personal texts',
    files: changed(replaced('private.ndjson', '{"index":0,"by":null', '{"index":5,"by":null')),
    findings: [
      ...[1, 2, 3, 4].map((index) => `${named(index)} had its by_private removed`),
      ...[2, 3, 4, 5, 6].map((line) => `line ${line} of private.ndjson is out of order`),
      `${named(5)} had its by_private removed`,
    ],
  },
  {
    name: 'a line of no record in the personal texts',
    files: changed(replaced('private.ndjson', '{"index":5', '{"index":6')),
    findings: ['line 6 of private.ndjson is of no record', `${named(5)} had its by_private removed`],
  },
  {
    name: 'no personal texts',
    files: changed(removed('private.ndjson')),
    findings: [],
    notes: ['names and addresses were not checked: the export has none'],
  },
  {
    name: 'the erased texts of a person',
    files: sampleExport([...erasedBefore(6), erasedOf(alice)]),
    findings: [],
    notes: ['erased personal texts: 5'],
  },
  {
    name: 'erased texts of another person',
    files: sampleExport([...erasedBefore(2), erasedOf(bob)]),
    findings: [`${named(1)} had its by_private removed`],
  },
  {
    name: 'texts that were erased by age',
    files: sampleExport([...erasedBefore(3), erasedByAge('2026-11-28T12:00:04.000Z')]),
    findings: [],
    notes: ['erased personal texts: 2'],
  },
  {
    name: 'a text that was removed after an erasure by age',
    files: sampleExport([...erasedBefore(4), erasedByAge('2026-11-28T12:00:04.000Z')]),
    findings: [`${named(3)} had its by_private removed`],
    notes: ['erased personal texts: 2'],
  },
  {
    name: 'a text that was removed after its person was erased',
    files: sampleExport([...erasedBefore(6), erasedOf(alice), without(sampleRecord(8))]),
    findings: [`${named(7, sampleRecord(8))} had its by_private removed`],
    notes: ['erased personal texts: 5'],
  },
  {
    name: 'names entered by strangers that were erased',
    files: sampleExport([...entered, erasedBy({ erased: 2, below: 6, indexes: '1,3-4' })]),
    findings: [`${named(2, entered[2])} had its by_private removed`],
    notes: ['erased personal texts: 3'],
  },
  {
    name: 'a pending event whose text was erased',
    files: sampleExport([
      ...erasedBefore(6),
      erasedBy({ erased: 5, below: 6, pending: [`${processId} 8`] }, { about: { kind: 'user', id: alice } }),
      without(sampleRecord(8)),
      without(sampleRecord(9)),
    ]),
    findings: [`${named(8, sampleRecord(9))} had its by_private removed`],
    notes: ['erased personal texts: 6'],
  },
  ...['2026-11-28T12:00:60.000Z', '2026-11-29'].map((time) => ({
    name: `an erasure by age that has the time ${time}`,
    files: sampleExport([...erasedBefore(2), erasedByAge(time)]),
    findings: [`${named(1)} had its by_private removed`],
  })),
]
