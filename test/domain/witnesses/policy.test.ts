import { describe, expect, test } from 'bun:test'
import { writeCheckpoint } from '../../../src/domain/transparency/checkpoint.ts'
import { createNoteSigner } from '../../../src/domain/transparency/signedNote.ts'
import { openCosigned, type ParsedPolicy, type Policy, parsePolicy } from '../../../src/domain/witnesses/policy.ts'
import { createTestWitness } from './testWitness.ts'

const origin = 'auth.example.com/api/audit/log'
const log = createNoteSigner(origin, Buffer.alloc(32, 7))
const witnesses = [1, 2, 3, 4].map((seed) => createTestWitness(`witness.example/w${seed}`, seed))
const [one, two, three, four] = witnesses.map(({ vkey }) => vkey)
const note = writeCheckpoint({ origin, size: 9, root: Buffer.alloc(32, 1) }, [log])
const text = note.slice(0, note.lastIndexOf('\n\n') + 1)

function parse(policy: string): ParsedPolicy {
  return parsePolicy(Buffer.from(policy))
}

function valid(policy: string): Policy {
  const parsed = parse(policy)
  if ('problem' in parsed) throw new Error(parsed.problem)
  return parsed.policy
}

/** Returns whether the witnesses with these numbers are a quorum. */
function hasQuorum(policy: string, ...cosigning: readonly number[]): boolean | undefined {
  const lines = cosigning.map((number) => witnesses[number - 1]?.cosign(text, 1700000000))
  return openCosigned(note + lines.join(''), valid(policy))?.hasQuorum
}

const keys = `log ${log.vkey}\nwitness X1 ${one}\nwitness X2 ${two}\nwitness X3 ${three}\nwitness Y ${four}\n`
const nested = `${keys}group X 2 X1 X2 X3\ngroup both all X Y\nquorum both\n`

describe('policy', () => {
  test('reads logs and witnesses with their URLs', () => {
    const { logs, witnesses } = valid(
      `# A comment.\n\n \tlog\t${log.vkey} https://auth.example.com/\n  # Another.\nwitness w ${one} https://w.example/x \nquorum w\n`,
    )
    expect(logs).toEqual([expect.objectContaining({ url: 'https://auth.example.com/' })])
    expect(witnesses).toEqual([expect.objectContaining({ name: 'w', url: 'https://w.example/x' })])
  })

  test.each<[string, readonly number[], boolean]>([
    [`${keys}quorum none`, [], true],
    [`${keys}quorum X1`, [], false],
    [`${keys}quorum X1`, [2, 3, 4], false],
    [`${keys}quorum X1`, [1], true],
    [`${keys}group any any X1 X2\nquorum any`, [3], false],
    [`${keys}group any any X1 X2\nquorum any`, [2], true],
    [`${keys}group all all X1 X2\nquorum all`, [2], false],
    [`${keys}group all all X1 X2\nquorum all`, [2, 1], true],
    [nested, [1, 2], false],
    [nested, [1, 4], false],
    [nested, [1, 3, 4], true],
    [nested, [1, 1, 4], false],
  ])('case %#: finds whether the witnesses are a quorum', (policy, cosigning, expected) => {
    expect(hasQuorum(policy, ...cosigning)).toBe(expected)
  })

  test.each([
    ['an empty file', '', 'it has no quorum line'],
    ['no quorum', keys, 'it has no quorum line'],
    ['two quorums', 'quorum none\nquorum none', 'line 2 is a second quorum line'],
    ['a quorum defined later', `quorum w\nwitness w ${one}`, 'line 1 names a quorum that no earlier line defines'],
    ['a quorum with two names', `${keys}quorum X1 X2`, 'line 6 is not "quorum NAME"'],
    ['another keyword', 'Log x', 'line 1 begins with none of log, witness, group and quorum'],
    ['a witness without a key', 'witness w', 'line 1 is not "witness NAME VKEY [URL]"'],
    ['text after a URL', `witness w ${one} https://x y`, 'line 1 is not "witness NAME VKEY [URL]"'],
    [
      'two witnesses of one name',
      `witness w ${one}\nwitness w ${two}`,
      'line 2 defines a name that is defined already',
    ],
    ['a witness called none', `witness none ${one}`, 'line 1 defines the name none, which is predefined'],
    ['a group called as a witness', `${keys}group X1 any X2`, 'line 6 defines a name that is defined already'],
    ['a group of a later name', `${keys}group g any Z`, 'line 6 has a member that no earlier line defines'],
    ['a group of itself', `${keys}group g any g`, 'line 6 has a member that no earlier line defines'],
    ['a group of none', `${keys}group g any none`, 'line 6 has a member that no earlier line defines'],
    ['a member twice', `${keys}group g 2 X1 X1`, 'line 6 has a member that is in a group already'],
    ['a member of two groups', `${keys}group g 1 X1\ngroup h 1 X1`, 'line 7 has a member that is in a group already'],
    ['a group without members', `${keys}group g all`, 'line 6 is not "group NAME all|any|NUMBER MEMBER…"'],
    [
      'a log key of a witness',
      `log ${one}`,
      'line 1 has a log key that is malformed or not Ed25519 (signature type 0x01)',
    ],
    ['a carriage return', 'quorum none\r\n', 'line 1 has a control character'],
    ['a null', 'quorum none\n\0', 'line 2 has a control character'],
  ])('rejects %s', (_, policy, problem) => {
    expect(parse(policy)).toEqual({ problem })
  })

  test.each(['0', '4', '01', '-1', '1.0', '+2', 'most', '99999999999999999999'])(
    'rejects the threshold %p of three',
    (count) => {
      expect(parse(`${keys}group g ${count} X1 X2 X3\nquorum g`)).toEqual({
        problem: 'line 6 needs all, any, or a number from 1 to 3 before its members',
      })
    },
  )

  test('rejects a witness key of the wrong type, id or length', () => {
    const problem = 'line 1 has a witness key that is malformed or not an Ed25519 cosignature key (signature type 0x04)'
    for (const vkey of [log.vkey, String(one).replace(/\+.{8}\+/, '+00000000+'), `${one}AA`, 'x'])
      expect(parse(`witness w ${vkey}\nquorum w`)).toEqual({ problem })
  })

  test('rejects one key under two names', () => {
    const renamed = createTestWitness('other.example', 1).vkey
    expect(parse(`witness a ${one}\nwitness b ${renamed}\nquorum a`)).toEqual({
      problem: 'line 2 has the key of another witness',
    })
  })

  test('keeps names apart that are no UTF-8', () => {
    const file = Buffer.from(`witness \xe9 ${one}\nwitness \xe8 ${two}\ngroup g all \xe9 \xe8\nquorum g\n`, 'latin1')
    const parsed = parsePolicy(file)
    const policy = 'policy' in parsed ? parsed.policy : valid('')
    const cosigned = note + witnesses[0]?.cosign(text, 1)
    expect(openCosigned(cosigned, policy, [log])?.hasQuorum).toBe(false)
    expect(openCosigned(cosigned + witnesses[1]?.cosign(text, 1), policy, [log])?.hasQuorum).toBe(true)
  })

  test('takes 32 logs, witnesses and groups', () => {
    const numbers = Array.from({ length: 32 }, (_, at) => at)
    const lines = numbers.flatMap((at) => [
      `log ${createNoteSigner(`log${at}`, Buffer.alloc(32, 100 + at)).vkey}`,
      `witness w${at} ${createTestWitness(`w${at}`, at).vkey}`,
      `group g${at} any w${at}`,
    ])
    const policy = valid(`${lines.join('\n')}\ngroup all 32 ${numbers.map((at) => `g${at}`).join(' ')}\nquorum all\n`)
    expect(policy.isQuorum(new Set(policy.witnesses))).toBe(true)
    expect(policy.isQuorum(new Set(policy.witnesses.slice(1)))).toBe(false)
  })
})

describe('cosigned checkpoint', () => {
  const policy = valid(`log ${log.vkey}\nwitness w ${one}\nquorum w`)
  const line = witnesses[0]?.cosign(text, 1679315147) ?? ''

  test('has the times of its cosignatures', () => {
    const opened = openCosigned(note + line, policy)
    expect(opened?.text).toBe(text)
    expect(opened?.cosignatures.map(({ witness, time }) => [witness.name, time])).toEqual([['w', 1679315147]])
  })

  test('verifies a cosignature of another implementation (torchwood)', () => {
    const vkey = 'witness.example/torchwood+ec24c941+BDtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop'
    const theirs =
      '— witness.example/torchwood 7CTJQQAAAABrC3sYq3YdjGvkjf7vdcadWukZpwf749H8RigGLlWi41jp1nIYB3bhHYnGTCN7tqXKsmWBk5D+WsfEl8lWC3NJ7Ur/Aw==\n'
    const opened = openCosigned(note + theirs, valid(`witness w ${vkey}\nquorum w`), [log])
    expect(opened).toMatchObject({ hasQuorum: true, cosignatures: [{ time: 1795914520 }] })
  })

  test('skips the lines of unknown witnesses', () => {
    expect(openCosigned(note + witnesses[1]?.cosign(text, 1) + line, policy)?.hasQuorum).toBe(true)
    expect(openCosigned(note + witnesses[1]?.cosign(text, 1), policy)?.hasQuorum).toBe(false)
  })

  test.each<[string, string]>([
    ['another text', witnesses[0]?.cosign(text.replace('\n9\n', '\n8\n'), 1679315147) ?? ''],
    ['another time', edited(line, 11)],
    ['a flipped bit', edited(line, 40)],
    ['a cut signature', cut(line, 4 + 8 + 63)],
    ['no time', cut(line, 4 + 7)],
    ['a time beyond 63 bits', edited(line, 4, 0x80)],
  ])('is rejected if a known witness has signed %s', (_, wrong) => {
    expect(openCosigned(note + wrong, policy)).toBeUndefined()
  })

  test('is rejected without a signature of the log', () => {
    expect(openCosigned(`${text}\n${line}`, policy)).toBeUndefined()
    expect(openCosigned(note + line, valid(`witness w ${one}\nquorum w`))).toBeUndefined()
    expect(openCosigned(note + line, valid(`witness w ${one}\nquorum w`), [log])?.hasQuorum).toBe(true)
  })
})

function edited(line: string, at: number, mask = 1): string {
  return rewritten(line, (bytes) => Buffer.from(bytes).fill((bytes[at] ?? 0) ^ mask, at, at + 1))
}

function cut(line: string, length: number): string {
  return rewritten(line, (bytes) => bytes.subarray(0, length))
}

function rewritten(line: string, rewrite: (bytes: Buffer) => Buffer): string {
  const [dash, name, encoded = ''] = line.trimEnd().split(' ')
  return `${dash} ${name} ${rewrite(Buffer.from(encoded, 'base64')).toString('base64')}\n`
}
