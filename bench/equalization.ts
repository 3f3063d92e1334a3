import { equalizeCost } from '../src/domain/passwords/decoy.ts'
import { hashPassword } from '../src/domain/passwords/hashPassword.ts'
import { verifyPassword } from '../src/domain/passwords/verifyPassword.ts'
import { rounds } from './options.ts'
import { reportRatio } from './report.ts'

const today = { memoryKib: 65_536, timeCost: 2 }

/**
 * Measures the CPU time of a rejection by stored hash, relative to one of today's cost. Unlike
 * elapsed time, it hardly depends on what else the machine does.
 */
export async function measureEqualization(): Promise<void> {
  const newHash = await hashPassword('right', today)
  for (const [what, hash] of await storedHashes()) {
    const spent: number[] = []
    const expected: number[] = []
    for (let round = 0; round < rounds; round++) {
      expected.push(await cpuTimeOf(() => reject(newHash)))
      spent.push(await cpuTimeOf(() => reject(hash)))
    }
    reportRatio(`CPU time of a rejection, ${what}, relative to a new hash`, spent, expected)
  }
}

async function storedHashes(): Promise<readonly (readonly [string, string | undefined])[]> {
  return [
    ['unknown user', undefined],
    ['malformed hash', 'changeme'],
    ['hash over the cost limit', '$argon2id$v=19$m=4194305,t=1,p=1$c2FsdHNhbHQ$c2FsdHNhbHQ'],
    ['argon2id, 8 MiB', await hashPassword('right', { memoryKib: 8192, timeCost: 2 })],
    ['argon2id, 19 MiB', await hashPassword('right', { memoryKib: 19_456, timeCost: 2 })],
    ['argon2id, one pass', await hashPassword('right', { memoryKib: 65_536, timeCost: 1 })],
    ['bcrypt, cost 8', await Bun.password.hash('right', { algorithm: 'bcrypt', cost: 8 })],
    ["Django's PBKDF2 of 2021", `pbkdf2_sha256$260000$salt$${'A'.repeat(43)}=`],
    ["Keycloak's PBKDF2", `$pbkdf2-sha512$210000$c2FsdA$${'A'.repeat(86)}`],
    ["Django's scrypt", `scrypt$16384$salt$8$1$${'A'.repeat(86)}==`],
    ["Django's bcrypt over SHA-256", `bcrypt_sha256$$2b$09$${'a'.repeat(53)}`],
  ]
}

async function reject(hash: string | undefined): Promise<void> {
  await equalizeCost('wrong', hash, await verifyPassword('wrong', hash), today)
}

/** Returns microseconds. */
async function cpuTimeOf(action: () => Promise<void>): Promise<number> {
  const before = process.cpuUsage()
  await action()
  const { user, system } = process.cpuUsage(before)
  return user + system
}
