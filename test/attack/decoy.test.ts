import { describe, expect, test } from 'bun:test'
import { equalizeCost } from '../../src/domain/passwords/decoy.ts'
import { hashPassword } from '../../src/domain/passwords/hashPassword.ts'
import { verifyPassword } from '../../src/domain/passwords/verifyPassword.ts'

const [lower, upper] = [0.8, 1.25]
const today = { memoryKib: 65_536, timeCost: 2 }

describe('equalizeCost', async () => {
  const todaysHash = await hashPassword('right', today)

  test.each([
    ['an unknown user', undefined],
    ['a malformed hash', 'changeme'],
    ['a hash over the cost limit', '$argon2id$v=19$m=4194305,t=1,p=1$c2FsdHNhbHQ$c2FsdHNhbHQ'],
    ['a hash with an eighth of the memory', await hashPassword('right', { memoryKib: 8192, timeCost: 2 })],
    ['a hash with 19 MiB', await hashPassword('right', { memoryKib: 19_456, timeCost: 2 })],
    ['a hash with one pass', await hashPassword('right', { memoryKib: 65_536, timeCost: 1 })],
    ['a low-cost bcrypt hash', await Bun.password.hash('right', { algorithm: 'bcrypt', cost: 8 })],
    ["Django's PBKDF2 of 2021", `pbkdf2_sha256$260000$salt$${'A'.repeat(43)}=`],
    ["Keycloak's PBKDF2", `$pbkdf2-sha512$210000$c2FsdA$${'A'.repeat(86)}`],
    ["Django's scrypt", `scrypt$16384$salt$8$1$${'A'.repeat(86)}==`],
    ["Django's bcrypt over SHA-256", `bcrypt_sha256$$2b$09$${'a'.repeat(53)}`],
  ])('makes rejecting %s cost as much as a hash of today', async (_what, hash) => {
    const ratio = await costRatio(
      () => reject(hash),
      () => reject(todaysHash),
    )
    expect(ratio).toBeGreaterThan(lower)
    expect(ratio).toBeLessThan(upper)
  })
})

async function reject(hash: string | undefined): Promise<void> {
  await equalizeCost('wrong', hash, await verifyPassword('wrong', hash), today)
}

/**
 * Compares CPU time, not elapsed time, and takes the least of several alternating runs: the one
 * without interference. On a busy machine it takes more runs to find it.
 */
async function costRatio(action: () => Promise<void>, expected: () => Promise<void>): Promise<number> {
  const least = { action: Number.POSITIVE_INFINITY, expected: Number.POSITIVE_INFINITY }
  for (let run = 1; ; run++) {
    least.expected = Math.min(least.expected, await cpuTimeOf(expected))
    least.action = Math.min(least.action, await cpuTimeOf(action))
    const ratio = least.action / least.expected
    if (run >= 35 || (run >= 7 && ratio > lower && ratio < upper)) return ratio
  }
}

/** Returns microseconds. */
async function cpuTimeOf(action: () => Promise<void>): Promise<number> {
  const before = process.cpuUsage()
  await action()
  const { user, system } = process.cpuUsage(before)
  return user + system
}
