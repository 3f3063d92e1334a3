import { describe, expect, test } from 'bun:test'
import { readCheckpoint, writeCheckpoint } from '../../../src/domain/transparency/checkpoint.ts'
import { createNoteSigner, openNote, parseVerifierKey, signNote } from '../../../src/domain/transparency/signedNote.ts'

const origin = 'auth.example.com/api/audit/log'
const signer = createNoteSigner(origin, Buffer.alloc(32, 7))
const other = createNoteSigner(origin, Buffer.alloc(32, 8))
const checkpoint = { origin, size: 70_000, root: Buffer.alloc(32, 1) }
const note = writeCheckpoint(checkpoint, [signer])

describe('signed note', () => {
  test('has the verifier key that other implementations accept', () => {
    expect(signer.vkey).toBe(`${origin}+35255d68+AepKbGPinFIKvvVQexMuxfmVR3auvr57kkIe6mkURtIs`)
  })

  test('verifies the example of the Go documentation', () => {
    const vkey = 'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW'
    const peter = parseVerifierKey(vkey)
    const text = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
    const line =
      '— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n'
    expect(peter && openNote(`${text}\n${line}`, [peter])).toBe(text)
    expect(peter && openNote(`${text.replace('If', 'if')}\n${line}`, [peter])).toBeUndefined()
  })

  test('opens with one known signature beside unknown ones', () => {
    expect(openNote(signNote('text\n', [other, signer]), [signer])).toBe('text\n')
  })

  test('rejects a wrong signature of a known key beside a good one', () => {
    const both = signNote('text\n', [signer, other])
    const [, , first = '', second = ''] = both.split('\n')
    const forged = `${first.slice(0, -10)}AAAAAAAA==`
    expect(openNote(`text\n\n${forged}\n${second}\n`, [signer, other])).toBeUndefined()
  })

  test.each([
    ['no signature', 'text\n\n'],
    ['no empty line', note.replace('\n\n', '\n')],
    ['no final newline', note.slice(0, -1)],
    ['a control character', note.replace('70000', '700\t00')],
    ['a hyphen for the dash', note.replace('— ', '- ')],
    ['padding removed', note.replace(/=*\n$/, '\n')],
    ['an empty note', ''],
  ])('rejects %s', (_, malformed) => {
    expect(openNote(malformed, [signer])).toBeUndefined()
  })

  test('rejects a note of unknown keys only', () => {
    expect(openNote(note, [other])).toBeUndefined()
    expect(openNote(note, [])).toBeUndefined()
  })

  test.each(['', 'name', `${origin}+00000000+AepKbGPinFIKvvVQexMuxfmVR3auvr57kkIe6mkURtIs`, 'a b+35255d68+AQ=='])(
    'rejects the verifier key %p',
    (vkey) => {
      expect(parseVerifierKey(vkey)).toBeUndefined()
    },
  )
})

describe('checkpoint', () => {
  test('has an origin, a size and a root on one line each', () => {
    expect(note.split('\n').slice(0, 4)).toEqual([origin, '70000', Buffer.alloc(32, 1).toString('base64'), ''])
  })

  test('reads what it wrote', () => {
    expect(readCheckpoint(note, origin, [signer])).toEqual(checkpoint)
  })

  test('ignores extension lines', () => {
    const [text = ''] = note.split('\n\n')
    expect(readCheckpoint(signNote(`${text}\nextension\n`, [signer]), origin, [signer])).toEqual(checkpoint)
  })

  test.each([
    ['another origin', 'other.example.com\n1\n'],
    ['a signed size', `${origin}\n+1\n`],
    ['a size with a leading zero', `${origin}\n01\n`],
    ['a size above 2^53', `${origin}\n9007199254740993\n`],
  ])('rejects %s', (_, start) => {
    const root = checkpoint.root.toString('base64')
    expect(readCheckpoint(signNote(`${start}${root}\n`, [signer]), origin, [signer])).toBeUndefined()
  })

  test('rejects a root of another length', () => {
    expect(readCheckpoint(signNote(`${origin}\n1\nAAAA\n`, [signer]), origin, [signer])).toBeUndefined()
  })
})
