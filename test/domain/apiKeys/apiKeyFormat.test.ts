import { describe, expect, test } from 'bun:test'
import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { digestOfApiKey, generateApiKey, looksLikeApiKey } from '../../../src/domain/apiKeys/apiKeyFormat.ts'

const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'

describe('the text of an API key', () => {
  test('is the prefix and 49 letters and digits, and never the same', () => {
    const made = Array.from({ length: 1000 }, generateApiKey)
    for (const text of made) expect(text).toMatch(/^atk_[0-9A-Za-z]{49}$/)
    expect(new Set(made).size).toBe(1000)
  })

  test('has every character at every place of its random part', () => {
    const made = Array.from({ length: 2000 }, generateApiKey)
    // By chance one is missing once in 10^10 runs.
    for (let place = 4; place < 47; place++)
      expect([...new Set(made.map((text) => text[place]))].sort().join('')).toBe(alphabet)
  })

  test('is known by its SHA-256', () => {
    const text = generateApiKey()
    expect(digestOfApiKey(text)).toBe(createHash('sha256').update(text).digest('hex'))
  })

  test('has the CRC-32 of what stands before it at its end, so that others can check it', () => {
    expect(digestOfApiKey(`atk_${'0'.repeat(43)}${checksumByHand(`atk_${'0'.repeat(43)}`)}`)).toMatch(/^[0-9a-f]{64}$/)
  })

  test('that is mistyped in one or two places is none', () => {
    const place = fc.integer({ min: 0, max: 52 })
    const character = fc.constantFrom(...alphabet)
    fc.assert(
      fc.property(fc.array(fc.tuple(place, character), { minLength: 1, maxLength: 2 }), (changes) => {
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
    ['nothing', () => ''],
    ['the prefix alone', () => 'atk_'],
    ['of another prefix', () => generateApiKey().replace('atk_', 'atr_')],
    ['in capitals at its beginning', () => generateApiKey().replace('atk_', 'ATK_')],
    ['followed by a line break', () => `${generateApiKey()}\n`],
    ['followed by a character', () => `${generateApiKey()}0`],
    ['behind a space', () => ` ${generateApiKey()}`],
  ])('that is %s is none', (_what, make) => {
    expect(digestOfApiKey(make())).toBeUndefined()
  })

  test('is told from a token by its beginning alone', () => {
    expect([looksLikeApiKey('atk_'), looksLikeApiKey('atr_x'), looksLikeApiKey('eyJ')]).toEqual([true, false, false])
  })
})

/** CRC-32 (ISO-HDLC) bit by bit, and base 62: once more, and from the definition alone. */
function checksumByHand(text: string): string {
  let crc = 0xffffffff
  for (const byte of Buffer.from(text)) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1
  }
  let rest = BigInt((crc ^ 0xffffffff) >>> 0)
  let digits = ''
  for (let place = 0; place < 6; place++, rest /= 62n) digits = (alphabet[Number(rest % 62n)] ?? '') + digits
  return digits
}
