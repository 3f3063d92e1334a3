import { describe, expect, test } from 'bun:test'
import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { run } from '../../src/cli/run.ts'
import { checkpointAt, type Files, sampleExport, signer } from '../domain/offlineVerification/sampleLog.ts'
import { changed, kept, removed, replaced, six } from '../domain/offlineVerification/vector.ts'
import { createTestWitness } from '../domain/witnesses/testWitness.ts'
import { temporaryDirectory } from '../endOfFile.ts'

/** Writes files into a new directory, and returns it. */
function write(files: Files | Readonly<Record<string, string>>): string {
  const directory = temporaryDirectory('export')
  for (const [path, content] of files instanceof Map ? files : Object.entries(files)) {
    mkdirSync(dirname(join(directory, path)), { recursive: true })
    writeFileSync(join(directory, path), content)
  }
  return directory
}

async function verify(...args: readonly string[]) {
  const written = { stdout: '', stderr: '' }
  const code = await run(['audit', 'verify', ...args], {
    environment: {},
    stdout: (text) => {
      written.stdout += text
    },
    stderr: (text) => {
      written.stderr += text
    },
    logDescriptor: 2,
  })
  return { code, ...written }
}

const witness = createTestWitness('witness.example/w1', 1)
const fork = [...six.slice(0, 3), ...six.slice(4)]
const auditor = write({
  'log.vkey': `\n${signer.vkey}\n`,
  'none.vkey': '\n',
  'wrong.vkey': 'a+b+c\n',
  policy: `log ${signer.vkey}\nwitness one ${witness.vkey}\nquorum one\n`,
  'wrong.policy': 'quorum one\n',
  'kept.txt': checkpointAt(six, 4),
  'fork.txt': `${checkpointAt(six, 3)}\n${checkpointAt(fork, 4)}\n`,
  'torn.txt': `${checkpointAt(six, 3)}\n${checkpointAt(six, 4).slice(0, 60)}\n\n${checkpointAt(six, 5)}\n`,
  'flipped.txt': checkpointAt(six, 4).replace('\n4\n', '\n5\n'),
  'empty.txt': '',
})
const at = (name: string) => join(auditor, name)
const intact = write(changed())

describe('audit verify DIR', () => {
  test.each([
    ['a key', [signer.vkey]],
    ['a file of keys', [at('log.vkey')]],
  ])('verifies an export with %s, without settings and without a database', async (_what, [vkey = '']) => {
    const { code, stdout, stderr } = await verify(intact, '--vkey', vkey)
    expect([code, stderr]).toEqual([0, ''])
    expect(stdout).toStartWith('The audit log is intact: 6 records.\nNote: not ruled out, because no checkpoint')
  })

  test('prints the findings and exits with 1 if the export was tampered with', async () => {
    const directory = write(changed(replaced('tile/entries/000.p/6', 'request-5', 'request-4')))
    const { code, stdout } = await verify(directory, '--vkey', at('log.vkey'), '--checkpoint', at('kept.txt'))
    expect(code).toBe(1)
    expect(stdout).toBe(
      'record 4 (2026-11-28T12:00:05.000Z login.succeeded) was edited\nThe audit log was tampered with: 1 finding in 6 records.\n',
    )
  })

  test('prints JSON', async () => {
    const directory = write(changed(removed('tile/0/000.p/6')))
    const { code, stdout } = await verify(directory, '--json', '--vkey', at('log.vkey'), '--checkpoint', at('kept.txt'))
    expect(code).toBe(1)
    expect(JSON.parse(stdout)).toEqual({
      size: 6,
      pending: 0,
      findings: 1,
      notes: [],
      listed: [{ problem: 'tile/0/000.p/6 is missing' }],
    })
  })

  test('requires that the log continues the checkpoints of each file', async () => {
    const { code, stdout } = await verify(
      ...[intact, '--vkey', signer.vkey, '--checkpoint', at('kept.txt'), '--checkpoint', at('fork.txt')],
    )
    expect(code).toBe(1)
    expect(stdout).toContain(`${at('fork.txt')}: checkpoint 2 (size 4) does not fit the records\n`)
  })

  test('skips what a crash has left of a checkpoint, and says so', async () => {
    const { code, stdout } = await verify(intact, '--vkey', signer.vkey, '--checkpoint', at('torn.txt'))
    expect([code, stdout]).toEqual([
      0,
      `The audit log is intact: 6 records.\nNote: ${at('torn.txt')} has 1 part that is no checkpoint.\n`,
    ])
  })

  test('takes the key from a policy, and requires its cosignatures', async () => {
    const { code, stdout } = await verify(intact, '--policy', at('policy'))
    expect(code).toBe(1)
    expect(stdout).toStartWith('the checkpoint does not have the cosignatures that the policy requires\n')
    const note = checkpointAt(six, 6)
    const text = note.slice(0, note.indexOf('\n\n') + 1)
    const files = sampleExport(six, { kept }).set('checkpoint', Buffer.from(note + witness.cosign(text, 1_700_000_000)))
    expect(await verify(write(files), '--policy', at('policy'))).toEqual({
      code: 0,
      stdout: 'The audit log is intact: 6 records.\n',
      stderr: '',
    })
  })

  test.each([
    ['a flag without a directory', ['--vkey', signer.vkey], '--vkey needs the directory of an export.'],
    ['no key', [intact], 'Add --vkey with the key of the log. Take it from the operator, not from the export.'],
    ['a file without keys', [intact, '--vkey', at('none.vkey')], 'Add --vkey with the key of the log.'],
    ['a malformed key', [intact, '--vkey', at('wrong.vkey')], '--vkey: the file has a line that is no verifier key'],
    ['a missing key', [intact, '--vkey', at('missing')], 'cannot be read (ENOENT).'],
    ['a missing checkpoint', [intact, '--vkey', signer.vkey, '--checkpoint', at('missing')], 'cannot be read (ENOENT)'],
    [
      'a malformed policy',
      [intact, '--policy', at('wrong.policy')],
      '--policy: the file is not a policy: line 1 names',
    ],
    ['two directories', [intact, intact, '--vkey', signer.vkey], 'Unexpected argument'],
  ])('exits with 2 for %s', async (_what, args, problem) => {
    const { code, stdout, stderr } = await verify(...args)
    expect([code, stdout]).toEqual([2, ''])
    expect(stderr).toContain(problem)
  })

  const bad = write(changed(removed('checkpoint')))
  const piped = write(changed(removed('tile/0/000.p/6')))

  test.each([
    ['a directory that does not exist', [at('missing')], 'does not exist'],
    ['an export without a checkpoint', [bad], 'The directory has no file "checkpoint"'],
    ['a checkpoint file that is empty', [intact, '--checkpoint', at('empty.txt')], 'has no checkpoint.'],
    ['a given checkpoint with a wrong signature', [intact, '--checkpoint', at('flipped.txt')], 'has a wrong signature'],
    ['a directory for a checkpoint', [intact, '--checkpoint', auditor], 'cannot be read (EISDIR).'],
  ])('exits with 3 for %s', async (_what, args, problem) => {
    const { code, stdout, stderr } = await verify(...args, '--vkey', signer.vkey)
    expect([code, stdout]).toEqual([3, ''])
    expect(stderr).toStartWith('audittrail: The audit log could not be checked: ')
    expect(stderr).toContain(problem)
  })

  test('exits with 3 for a pipe in place of a file, without waiting for it', async () => {
    mkdirSync(join(piped, 'tile/0/000.p'), { recursive: true })
    spawnSync('mkfifo', [join(piped, 'tile/0/000.p/6')])
    const { code, stderr } = await verify(piped, '--vkey', signer.vkey)
    expect(code).toBe(3)
    expect(stderr).toContain('is not a regular file.')
  })

  test('finds that a checkpoint is longer than any may be', async () => {
    const directory = write(changed().set('checkpoint', Buffer.alloc(2_000_000, 'x')))
    const { code, stdout } = await verify(directory, '--vkey', signer.vkey)
    expect([code, stdout.split('\n')[0]]).toEqual([1, 'the checkpoint is malformed'])
  })
})
