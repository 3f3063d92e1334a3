import { describe, expect, test } from 'bun:test'
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { proveInclusion } from '../../src/domain/transparency/proofs.ts'
import { subtreesFrom } from '../../src/domain/transparency/tileReader.ts'
import { tilePath } from '../../src/domain/transparency/tiles.ts'
import { writeTlogProof } from '../../src/domain/transparency/tlogProof.ts'
import { origin, sampleExport, sampleRecord, sampleRecords, signer } from '../domain/offlineVerification/sampleLog.ts'
import { createTestWitness } from '../domain/witnesses/testWitness.ts'
import { temporaryDirectory } from '../endOfFile.ts'
import { hasProgram } from '../requirements.ts'
import { examples } from './upstream.ts'

const directory = join(examples, 'verify-audit')
const hasCryptography = hasProgram('/usr/lib/python3/dist-packages/cryptography', 'python3-cryptography')
const records = sampleRecords(600)

interface Proven {
  readonly leaf: string
  readonly proof: string
}

async function prove(index: number, size: number): Promise<Proven> {
  const files = sampleExport(records.slice(0, size))
  const read = subtreesFrom(size, async (tile) => {
    const content = files.get(tilePath(tile)) ?? Buffer.alloc(0)
    return Array.from({ length: tile.width }, (_, at) => content.subarray(at * 32, (at + 1) * 32))
  })
  const hashes = await proveInclusion(index, size, read)
  const proof = writeTlogProof({ index, hashes, note: String(files.get('checkpoint')) })
  return { leaf: records[index]?.leaf ?? '', proof }
}

const driver = `
import json, sys
sys.path.insert(0, ${JSON.stringify(directory)})
from signed_notes import parse_key
from verify_proof import WrongProof, check_proof

results = []
for case in json.load(sys.stdin):
    try:
        results.append(list(check_proof(case["leaf"].encode(), case["proof"], [parse_key(${JSON.stringify(signer.vkey)})], None)))
    except WrongProof as error:
        results.append(str(error))
json.dump(results, sys.stdout)
`

/** Returns the index and the name of the log for each proof, or what is wrong. */
function checkAll(cases: readonly Proven[]): readonly unknown[] {
  const input = JSON.stringify(cases)
  const { stdout, stderr } = spawnSync('/usr/bin/python3', ['-B', '-c', driver], { input, encoding: 'utf8' })
  expect(stderr).toBe('')
  return JSON.parse(stdout)
}

function verify(files: Readonly<Record<string, string>>, ...args: readonly string[]) {
  const path = temporaryDirectory('proof')
  for (const [name, content] of Object.entries(files)) writeFileSync(join(path, name), content)
  const program = join(directory, 'verify_proof.py')
  const given =
    args.length > 0 ? args.map((arg) => (arg === 'policy' ? join(path, arg) : arg)) : ['--vkey', signer.vkey]
  const { status, stdout } = spawnSync('/usr/bin/python3', ['-B', program, join(path, 'event-4.json'), ...given], {
    encoding: 'utf8',
  })
  return { status, stdout }
}

describe.skipIf(!hasCryptography)('examples/verify-audit/verify_proof.py', () => {
  test('accepts the proof of each record', async () => {
    const places = [1, 2, 3, 255, 256, 257, 600].flatMap((size) =>
      [0, 1, 2, 127, 254, 255, 256, 599].filter((index) => index < size).map((index) => [index, size] as const),
    )
    const cases = await Promise.all(places.map(([index, size]) => prove(index, size)))
    expect(checkAll(cases)).toEqual(places.map(([index]) => [index, origin]))
  })

  test('rejects a proof with another record, index, hash or signature', async () => {
    const { leaf, proof } = await prove(4, 6)
    const other = 'the record is not record 4 of the log that the checkpoint signs'
    const lines = proof.split('\n')
    const without = (at: number) => lines.toSpliced(at, 1).join('\n')
    const cases: readonly (readonly [expected: string, Partial<Proven>])[] = [
      [other, { leaf: `${leaf} ` }],
      [other.replace('4', '3'), { proof: proof.replace('index 4', 'index 3') }],
      [other.replace('4', '6'), { proof: proof.replace('index 4', 'index 6') }],
      [other, { proof: without(2) }],
      [other, { proof: lines.toSpliced(2, 0, lines[2] ?? '').join('\n') }],
      [
        other,
        {
          proof: lines
            .with(2, lines[3] ?? '')
            .with(3, lines[2] ?? '')
            .join('\n'),
        },
      ],
      ['the proof is malformed', { proof: proof.replace('index 4', 'index 04') }],
      ['the proof is malformed', { proof: without(0) }],
      ['the proof is malformed', { proof: lines.with(2, (lines[2] ?? '').slice(4)).join('\n') }],
      ['the checkpoint is malformed', { proof: proof.slice(0, -3) }],
      [`the checkpoint has a wrong signature of ${origin}`, { proof: proof.replace('\n6\n', '\n7\n') }],
      ['the checkpoint is not signed by a given key', { proof: proof.replace(`— ${origin}`, '— other') }],
    ]
    expect(checkAll(cases.map(([, change]) => ({ leaf, proof, ...change })))).toEqual(
      cases.map(([expected]) => expected),
    )
  })

  test('reads the files of "audit proof", and checks the personal texts beside them', async () => {
    const { leaf, proof } = await prove(4, 6)
    const files = { 'event-4.json': leaf, 'event-4.json.tlog-proof': proof }
    const proven = { status: 0, stdout: `Record 4 of ${origin} is proven: 2026-11-28T12:00:05.000Z login.succeeded.\n` }
    expect(verify(files)).toEqual(proven)
    expect(verify({ ...files, 'event-4.by.json': sampleRecord(5).by ?? '' })).toEqual(proven)
    expect(verify({ ...files, 'event-4.by.json': '{}' })).toEqual({
      status: 1,
      stdout: 'The record is not proven: event-4.by.json is not the text that the record commits to.\n',
    })
    expect(verify({ 'event-4.json': leaf }).status).toBe(2)
    expect(verify(files, '--vkey', 'missing').status).toBe(2)
  })

  test('requires the cosignatures of a policy', async () => {
    const { leaf, proof } = await prove(4, 6)
    const witness = createTestWitness('witness.example/w1', 1)
    const policy = `log ${signer.vkey}\nwitness one ${witness.vkey}\nquorum one\n`
    const files = { 'event-4.json': leaf, policy }
    const note = proof.slice(proof.indexOf('\n\n') + 2)
    const text = note.slice(0, note.indexOf('\n\n') + 1)
    const cosigned = proof + witness.cosign(text, 1_700_000_000)
    expect(verify({ ...files, 'event-4.json.tlog-proof': proof }, '--policy', 'policy').stdout).toContain(
      'does not have the cosignatures that the policy requires',
    )
    expect(verify({ ...files, 'event-4.json.tlog-proof': cosigned }, '--policy', 'policy').status).toBe(0)
  })
})
