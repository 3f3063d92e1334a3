import { describe, expect, test } from 'bun:test'
import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { digestOfApiKey, generateApiKey, looksLikeApiKey } from '../../../src/domain/apiKeys/apiKeyFormat.ts'

const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'

describe('API key format', () => {
  test('generates the prefix and 49 letters and digits, different each time', () => {
    const generated = Array.from({ length: 1000 }, generateApiKey)
    for (const text of generated) expect(text).toMatch(/^atk_[0-9A-Za-z]{49}$/)
    expect(new Set(generated).size).toBe(1000)
  })

  test('uses every character at every position of the random part', () => {
    const generated = Array.from({ length: 2000 }, generateApiKey)
    // A character is missing by chance once in 10^10 runs.
    for (let position = 4; position < 47; position++)
      expect([...new Set(generated.map((text) => text[position]))].sort().join('')).toBe(alphabet)
  })

  test('digests a key with SHA-256', () => {
    const text = generateApiKey()
    expect(digestOfApiKey(text)).toBe(createHash('sha256').update(text).digest('hex'))
  })

  test('ends a key with the CRC-32 of the characters before it, which secret scanners can check', () => {
    expect(digestOfApiKey(`atk_${'0'.repeat(43)}${referenceChecksum(`atk_${'0'.repeat(43)}`)}`)).toMatch(
      /^[0-9a-f]{64}$/,
    )
  })

  test('rejects a key with one or two mistyped characters', () => {
    const position = fc.integer({ min: 0, max: 52 })
    const character = fc.constantFrom(...alphabet)
    fc.assert(
      fc.property(fc.array(fc.tuple(position, character), { minLength: 1, maxLength: 2 }), (changes) => {
        const text = generateApiKey()
        const mistyped = [...text]
        for (const [at, other] of changes) mistyped[at] = other
        const isSame = mistyped.join('') === text
        expect(digestOfApiKey(mistyped.join('')) === undefined).toBe(!isSame)
      }),
      { numRuns: 2000 },
    )
  })

  test.each([
    ['an empty text', () => ''],
    ['only the prefix', () => 'atk_'],
    ['another prefix', () => generateApiKey().replace('atk_', 'atr_')],
    ['an uppercase prefix', () => generateApiKey().replace('atk_', 'ATK_')],
    ['a line break at the end', () => `${generateApiKey()}\n`],
    ['an extra character at the end', () => `${generateApiKey()}0`],
    ['a leading space', () => ` ${generateApiKey()}`],
  ])('rejects %s', (_what, make) => {
    expect(digestOfApiKey(make())).toBeUndefined()
  })

  test('recognizes a key by its prefix', () => {
    expect([looksLikeApiKey('atk_'), looksLikeApiKey('atr_x'), looksLikeApiKey('eyJ')]).toEqual([true, false, false])
  })
})

/** A second implementation from the definitions: CRC-32 (ISO-HDLC) bit by bit, in base 62. */
function referenceChecksum(text: string): string {
  let crc = 0xffffffff
  for (const byte of Buffer.from(text)) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1
  }
  let remaining = BigInt((crc ^ 0xffffffff) >>> 0)
  let digits = ''
  for (let count = 0; count < 6; count++, remaining /= 62n) digits = (alphabet[Number(remaining % 62n)] ?? '') + digits
  return digits
}
