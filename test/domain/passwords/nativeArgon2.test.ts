import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { type Argon2Verifier, bunArgon2, verifierFor } from '../../../src/domain/passwords/argon2.ts'
import { createArgon2, loadNativeArgon2 } from '../../../src/domain/passwords/nativeArgon2.ts'
import { verifyPassword } from '../../../src/domain/passwords/verifyPassword.ts'
import { createLog } from '../../../src/telemetry/log.ts'
import { hashByArgon2Cffi, hashByPwdlib, password } from '../hashes/formats.ts'

const native = loadNativeArgon2()
const verdictBy = (argon2: Argon2Verifier, hash: string, given = 'changeme') =>
  verifyPassword(given, hash, undefined, argon2)

/** A salt or a digest: valid, too short, with unused bits, or with other letters. */
const field = fc.oneof(
  fc
    .uint8Array({ minLength: 0, maxLength: 80 })
    .map((bytes) => Buffer.from(bytes).toString('base64').replace(/=+$/, '')),
  fc.stringMatching(/^[A-Za-z0-9+/]{0,90}$/),
  fc.string({ maxLength: 24 }),
)
const number = fc.oneof(
  fc.integer({ min: 0, max: 64 }).map(String),
  fc.constantFrom('08', '-1', '', '1e1', '0x10', '99999999999', ' 8'),
)
const generated = fc
  .record({
    type: fc.oneof({ weight: 5, arbitrary: fc.constantFrom('id', 'i', 'd') }, fc.constantFrom('', 'ID', 'x')),
    version: fc.oneof({ weight: 5, arbitrary: fc.constant('v=19$') }, fc.constantFrom('v=16$', '', 'v=019$', 'v=20$')),
    memory: fc.oneof({ weight: 3, arbitrary: fc.integer({ min: 8, max: 128 }).map(String) }, number),
    passes: fc.oneof({ weight: 3, arbitrary: fc.constantFrom('1', '2') }, number),
    lanes: fc.oneof({ weight: 3, arbitrary: fc.constantFrom('1', '2', '4') }, number),
    order: fc.oneof({ weight: 8, arbitrary: fc.constant(true) }, fc.constant(false)),
    salt: field,
    digest: field,
    end: fc.oneof({ weight: 8, arbitrary: fc.constant('') }, fc.constantFrom('$', '=', '\n', ' ', '\0')),
  })
  .map(({ type, version, memory, passes, lanes, order, salt, digest, end }) => {
    const parameters = order ? `m=${memory},t=${passes},p=${lanes}` : `t=${passes},m=${memory},p=${lanes}`
    return `$argon2${type}$${version}${parameters}$${salt}$${digest}${end}`
  })

describe('the native argon2 verifier', () => {
  test('returns the verdict of Bun.password for 10,000 generated hashes, malformed ones included', async () => {
    await fc.assert(
      fc.asyncProperty(generated, async (hash) => {
        expect(await verdictBy(native, hash)).toBe(await verdictBy(bunArgon2, hash))
      }),
      { numRuns: 10_000 },
    )
  }, 120_000)

  test('accepts the right password and rejects others for hashes of any cost, as Bun.password does', async () => {
    const cost = fc.record({ memoryCost: fc.integer({ min: 8, max: 256 }), timeCost: fc.integer({ min: 1, max: 3 }) })
    const text = fc.string({ minLength: 1, maxLength: 40, unit: 'grapheme' })
    await fc.assert(
      fc.asyncProperty(cost, text, text, async (parameters, right, other) => {
        const hash = await Bun.password.hash(right.normalize(), { algorithm: 'argon2id', ...parameters })
        expect(verifierFor(hash, native)).toBe(native)
        for (const given of [right, other, `${right}x`])
          expect(await verdictBy(native, hash, given)).toBe(await verdictBy(bunArgon2, hash, given))
        expect(await verdictBy(native, hash, right)).toBe('right')
      }),
      { numRuns: 300 },
    )
  })

  test('returns the verdict of Bun.password for every one-character change of a valid hash', async () => {
    const hash = await Bun.password.hash('changeme', { algorithm: 'argon2id', memoryCost: 16, timeCost: 1 })
    for (let at = 0; at <= hash.length; at++)
      for (const [removed, added] of ['', 'A', '0', '=', '$', ' ', '\0', 'é'].flatMap((text) => [
        [0, text] as const,
        [1, text] as const,
      ])) {
        const changed = hash.slice(0, at) + added + hash.slice(at + removed)
        expect([changed, await verdictBy(native, changed)]).toEqual([changed, await verdictBy(bunArgon2, changed)])
      }
  })

  test.each([
    ['pwdlib', hashByPwdlib],
    ['argon2-cffi', hashByArgon2Cffi],
  ])('verifies a hash made by %s', async (_maker, hash) => {
    expect(await verdictBy(native, hash, password)).toBe('right')
    expect(await verdictBy(native, hash, `${password}r`)).toBe('wrong')
  })

  test.each([
    ['a leading zero', '$argon2id$v=19$m=064,t=1,p=1$c2FsdHNhbHQ$ePHX6tepXWusf6b6MH9TJ+SVGted3R/FtCkxq/X5UVo'],
    ['a salt of 65 bytes', `$argon2id$v=19$m=64,t=1,p=1$${'A'.repeat(87)}$ePHX6tepXWusf6b6MH9TJ+SVGted3R/FtCkxq/X5UVo`],
    ['bcrypt', `$2b$04$${'a'.repeat(53)}`],
  ])('does not get a hash with %s', (_what, hash) => {
    expect(verifierFor(hash, native)).toBe(bunArgon2)
  })

  test('is loaded once, on first use', () => {
    const lines: string[] = []
    const argon2 = createArgon2(
      createLog({ level: 'debug', format: 'json', now: Date.now, write: (line) => lines.push(line) }),
    )
    expect(argon2().name).toBe('native')
    expect(argon2()).toBe(argon2())
    expect(lines).toEqual([])
  })

  const unloadable = () => {
    throw new Error('cannot open shared object file')
  }
  test.each([
    ['does not load', true, unloadable, 'cannot open shared object file'],
    ['is turned off', false, loadNativeArgon2, 'NATIVE_ARGON2 is off.'],
  ])('is replaced by Bun.password with one warning if it %s', async (_what, isOn, load, message) => {
    const lines: Record<string, unknown>[] = []
    const log = createLog({
      level: 'debug',
      format: 'json',
      now: Date.now,
      write: (line) => lines.push(JSON.parse(line)),
    })
    const argon2 = createArgon2(log, isOn, load)
    expect(argon2()).toBe(bunArgon2)
    expect(argon2()).toBe(bunArgon2)
    expect(lines).toMatchObject([{ level: 'warn', event: 'hash.addon_unavailable', message }])
    expect(lines).toHaveLength(1)
  })
})
