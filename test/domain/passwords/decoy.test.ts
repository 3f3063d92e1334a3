import { describe, expect, spyOn, test } from 'bun:test'
import { bunArgon2 } from '../../../src/domain/passwords/argon2.ts'
import { decoyCosts, equalizeCost } from '../../../src/domain/passwords/decoy.ts'
import { relativeCostOf } from '../../../src/domain/passwords/hashCost.ts'
import { loadNativeArgon2 } from '../../../src/domain/passwords/nativeArgon2.ts'
import { readHash } from '../../../src/domain/passwords/readHash.ts'
import { verifyPassword } from '../../../src/domain/passwords/verifyPassword.ts'

const today = { memoryKib: 65_536, timeCost: 2 }
const argon2 = (memoryKib: number, timeCost: number) =>
  `$argon2id$v=19$m=${memoryKib},t=${timeCost},p=1$${'A'.repeat(43)}$${'A'.repeat(43)}`
const bcrypt12 = `$2b$12$${'a'.repeat(53)}`

describe('decoyCosts', () => {
  test.each([
    ['an unknown user', undefined],
    ['a malformed hash', 'changeme'],
    ['a hash over the cost limit', '$argon2id$v=19$m=4194305,t=1,p=1$c2FsdHNhbHQ$c2FsdHNhbHQ'],
  ])('is all of the cost of a new hash for %s', async (_what, hash) => {
    expect(await verifyPassword('wrong', hash)).toBe('unusable')
    expect(decoyCosts(hash, 'unusable', { cost: today })).toEqual([today])
  })

  test.each([
    ['a hash with an eighth of the memory', argon2(8192, 2)],
    ['a hash with 19 MiB', argon2(19_456, 2)],
    ['a hash with one pass', argon2(65_536, 1)],
    ['a low-cost bcrypt hash', `$2b$08$${'a'.repeat(53)}`],
    ["Django's PBKDF2 of 2021", `pbkdf2_sha256$260000$salt$${'A'.repeat(43)}=`],
    ["Keycloak's PBKDF2", `$pbkdf2-sha512$210000$c2FsdA$${'A'.repeat(86)}`],
    ["Django's scrypt", `scrypt$16384$salt$8$1$${'A'.repeat(86)}==`],
    ["Django's bcrypt over SHA-256", `bcrypt_sha256$$2b$09$${'a'.repeat(53)}`],
  ])('makes up the difference between %s and a new hash', (_what, hash) => {
    const share = readHash(hash)?.share ?? 0
    const [decoy] = decoyCosts(hash, 'wrong', { cost: today })
    expect(share).toBeGreaterThan(0)
    expect(decoy?.memoryKib).toBeLessThan(today.memoryKib)
    expect(share + (decoy ? relativeCostOf(decoy) : 0)).toBeCloseTo(relativeCostOf(today), 3)
  })

  test.each([
    ['a new hash', argon2(65_536, 2)],
    ['a costlier hash', argon2(131_072, 2)],
    ['a hash slightly below the cost of a new one', argon2(65_535, 2)],
  ])('is empty for %s', (_what, hash) => {
    expect(decoyCosts(hash, 'wrong', { cost: today })).toEqual([])
  })

  test.each([
    ['an unknown user', undefined],
    ['a new hash', argon2(65_536, 2)],
    ['a low-cost hash', argon2(8192, 2)],
    ['the costliest hash', bcrypt12],
  ])('adds up to the costliest stored hash for %s, with either verifier', (_what, hash) => {
    for (const verifier of [bunArgon2, loadNativeArgon2()]) {
      const costliest = readHash(bcrypt12)?.share ?? 0
      const decoys = decoyCosts(hash, 'wrong', { cost: today, argon2: verifier, costliest })
      const spent = hash === undefined ? 0 : (readHash(hash, verifier)?.share ?? 0)
      const total = decoys.reduce((sum, decoy) => sum + relativeCostOf(decoy, verifier.curve), spent)
      expect(total).toBeCloseTo(costliest, 2)
      expect(Math.max(0, ...decoys.map(({ memoryKib }) => memoryKib))).toBeLessThanOrEqual(today.memoryKib)
    }
  })
})

test('equalizeCost verifies one decoy of the missing cost, and none after a hash of full cost', async () => {
  const verify = spyOn(Bun.password, 'verify')
  try {
    await equalizeCost('wrong', undefined, 'unusable', { cost: today })
    expect(verify).toHaveBeenCalledTimes(1)
    expect(verify.mock.calls[0]?.[1]).toStartWith('$argon2id$v=19$m=65536,t=2,p=1$')
    await equalizeCost('wrong', argon2(65_536, 2), 'wrong', { cost: today })
    expect(verify).toHaveBeenCalledTimes(1)
  } finally {
    verify.mockRestore()
  }
})
