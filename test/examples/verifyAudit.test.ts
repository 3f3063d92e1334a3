import { afterAll, describe, expect, test } from 'bun:test'
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { reportText } from '../../src/cli/commands/audit/reportText.ts'
import { run } from '../../src/cli/run.ts'
import { fileVectors } from '../domain/offlineVerification/fileVectors.ts'
import { headVectors } from '../domain/offlineVerification/headVectors.ts'
import { longVectors } from '../domain/offlineVerification/longVectors.ts'
import { recordVectors } from '../domain/offlineVerification/recordVectors.ts'
import {
  checkpointAt,
  type Files,
  sampleExport,
  sampleRecords,
  signer,
} from '../domain/offlineVerification/sampleLog.ts'
import { changed, six, type Vector } from '../domain/offlineVerification/vector.ts'
import { keptFile, type Verified, verify } from '../domain/offlineVerification/verifying.ts'
import { createTestWitness } from '../domain/witnesses/testWitness.ts'
import { hasProgram } from '../requirements.ts'
import { examples } from './upstream.ts'

const program = join(examples, 'verify-audit/verify_audit.py')
const hasCryptography = hasProgram('/usr/lib/python3/dist-packages/cryptography', 'python3-cryptography')
const root = mkdtempSync(join(tmpdir(), 'verify-audit-'))
afterAll(() => rmSync(root, { recursive: true }))

/** Verifies exports in directories of this root, all by one run of Python. */
const driver = `
import json, os, sys
sys.path.insert(0, ${JSON.stringify(dirname(program))})
from verify_audit import verify

results = []
for case in json.load(sys.stdin):
    os.chdir(case["path"])
    results.append(verify("export", case["vkeys"], case["policy"], case["checkpoints"]))
json.dump(results, sys.stdout)
`

let directories = 0

/** Writes an export and what the auditor has. Returns the arguments of the verifiers. */
function write({ files, vkeys = [signer.vkey], policy, checkpoints = [] }: Verified) {
  const path = join(root, String(directories++))
  const all: Files = new Map([...files].map(([name, content]) => [`export/${name}`, content]))
  all.set('export/.keep', Buffer.alloc(0))
  if (policy !== undefined) all.set('policy', Buffer.from(policy))
  if (checkpoints.length > 0) all.set(keptFile, Buffer.from(checkpoints.map((note) => `${note}\n`).join('')))
  for (const [name, content] of all) {
    mkdirSync(dirname(join(path, name)), { recursive: true })
    writeFileSync(join(path, name), content)
  }
  return {
    path,
    vkeys,
    policy: policy === undefined ? null : 'policy',
    checkpoints: checkpoints.length > 0 ? [keptFile] : [],
  }
}

type Result = readonly [code: number, stdout: string, stderr: string]

function verifyInPython(cases: readonly Verified[]): readonly Result[] {
  const input = JSON.stringify(cases.map(write))
  const { stdout, stderr } = spawnSync('/usr/bin/python3', ['-B', '-c', driver], {
    input,
    encoding: 'utf8',
    maxBuffer: 1e9,
  })
  expect(stderr).toBe('')
  return JSON.parse(stdout)
}

async function verifyHere(verified: Verified): Promise<Result> {
  const report = await verify(verified)
  return [report.findings > 0 ? 1 : 0, reportText(report), '']
}

describe.skipIf(!hasCryptography)('examples/verify-audit', () => {
  const vectors: readonly Vector[] = [...fileVectors, ...recordVectors, ...headVectors, ...longVectors]

  test('prints the same as "audit verify" for every vector', async () => {
    const expected = await Promise.all(vectors.map(async (vector) => [vector.name, await verifyHere(vector)]))
    const results = verifyInPython(vectors)
    expect(vectors.map(({ name }, at) => [name, results[at]])).toEqual(expected)
  })

  test.each<[what: string, directory: string, ...args: string[]]>([
    ['an export that is intact', 'export'],
    ['checkpoints that were kept', 'export', '--checkpoint', keptFile],
    ['checkpoints of which a part is none', 'export', '--checkpoint', 'torn'],
    ['a checkpoint with a wrong signature', 'export', '--checkpoint', 'forged'],
    ['a checkpoint file that is empty', 'export', '--checkpoint', 'export/.keep'],
    ['a checkpoint file that is missing', 'export', '--checkpoint', 'missing'],
    ['a policy', 'export', '--policy', 'policy'],
    ['a malformed policy', 'export', '--policy', keptFile],
    ['a file that has no key', 'export', '--vkey', keptFile],
    ['a directory that is missing', 'missing'],
    ['a directory without a checkpoint', '.'],
  ])('exits and prints like "audit verify" for %s', async (_what, directory, ...args) => {
    const note = checkpointAt(six, 6)
    const policy = `witness one ${createTestWitness('witness.example/w1', 1).vkey}\nquorum one\n`
    const { path } = write({ files: changed(), policy, checkpoints: [checkpointAt(six, 4), note] })
    writeFileSync(join(path, 'torn'), `${note.slice(0, 40)}\n\n${note}`)
    writeFileSync(join(path, 'forged'), note.replace('\n6\n', '\n7\n'))
    const own = { stdout: '', stderr: '' }
    const absolute = (arg: string) => (arg.startsWith('--') ? arg : join(path, arg))
    const given = [absolute(directory), '--vkey', signer.vkey, ...args.map(absolute)]
    const code = await run(['audit', 'verify', ...given], {
      environment: {},
      stdout: (text) => {
        own.stdout += text
      },
      stderr: (text) => {
        own.stderr += text
      },
      logDescriptor: 2,
    })
    const { status, stdout, stderr } = spawnSync('/usr/bin/python3', ['-B', program, ...given], { encoding: 'utf8' })
    const message = (text: string) => text.replace(/^\w+: /, '').replace(/ cannot be read .*/s, ' cannot be read')
    expect([status, stdout, message(stderr)]).toEqual([code, own.stdout, message(own.stderr)])
  })

  test('finds every flipped bit that "audit verify" finds, and prints the same', async () => {
    const original = sampleExport(sampleRecords(300), { kept: [1, 100, 256, 300] })
    const flips = randomFlips(original, 500)
    const expected = await Promise.all(flips.map(({ files }) => verifyHere({ files })))
    const results = verifyInPython(flips)
    const found = flips.map(({ name }, at) => [name, results[at]])
    expect(found).toEqual(flips.map(({ name }, at) => [name, expected[at]]))
    expect(found.filter(([, result]) => result?.[0] !== 1)).toEqual([])
  })
})

/** Returns copies of an export, each with a bit of one file flipped. Always the same ones. */
function randomFlips(original: Files, count: number): readonly { readonly name: string; readonly files: Files }[] {
  let state = 1
  const random = (below: number) => {
    // A linear congruential generator (Numerical Recipes).
    state = (state * 1_664_525 + 1_013_904_223) % 2 ** 32
    return Math.floor((state / 2 ** 32) * below)
  }
  const paths = [...original.keys()].filter((path) => path !== 'log.vkey')
  return Array.from({ length: count }, (_, at) => {
    const path = paths[at % paths.length] ?? ''
    const content = Buffer.from(original.get(path) ?? '')
    const [byte, bit] = [random(content.length), random(8)]
    content[byte] = (content[byte] ?? 0) ^ (1 << bit)
    return { name: `bit ${bit} of byte ${byte} in ${path}`, files: new Map(original).set(path, content) }
  })
}
