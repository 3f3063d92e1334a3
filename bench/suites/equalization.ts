import { bunArgon2 } from '../../src/domain/passwords/argon2.ts'
import { equalizeCost, type RejectionCost } from '../../src/domain/passwords/decoy.ts'
import { hashPassword } from '../../src/domain/passwords/hashPassword.ts'
import { loadNativeArgon2 } from '../../src/domain/passwords/nativeArgon2.ts'
import { readHash } from '../../src/domain/passwords/readHash.ts'
import { verifyPassword } from '../../src/domain/passwords/verifyPassword.ts'
import { rounds } from '../options.ts'
import { type Row, ratio } from '../report/row.ts'

const today = { memoryKib: 65_536, timeCost: 2 }

/**
 * Measures the CPU time of a rejection by stored hash, relative to one of today's cost, with each
 * verifier; and relative to the costliest stored hash, where that costs more. Unlike elapsed time, it
 * hardly depends on what else the machine does.
 */
export async function measureEqualization(): Promise<Row[]> {
  const rows: Row[] = []
  const newHash = await hashPassword('right', today)
  const stored = await storedHashes()
  for (const argon2 of [loadNativeArgon2(), bunArgon2]) {
    for (const [what, hash] of stored) {
      const costliest = hash === undefined ? 0 : (readHash(hash, argon2)?.share ?? 0)
      const title = `${argon2.name} argon2, relative to a new hash`
      rows.push(...(await compare(title, newHash, [[what, hash]], { cost: today, argon2, costliest })))
    }
    for (const cost of [10, 12]) {
      const bcrypt = await Bun.password.hash('right', { algorithm: 'bcrypt', cost })
      const costliest = readHash(bcrypt)?.share ?? 0
      const others = [
        ['unknown user', undefined],
        ['new hash', newHash],
      ] as const
      const title = `${argon2.name} argon2, relative to bcrypt ${cost}`
      rows.push(...(await compare(title, bcrypt, others, { cost: today, argon2, costliest })))
    }
  }
  return rows
}

type Stored = readonly (readonly [string, string | undefined])[]

async function compare(title: string, reference: string, stored: Stored, rejection: RejectionCost): Promise<Row[]> {
  const rows: Row[] = []
  for (const [what, hash] of stored) {
    const spent: number[] = []
    const expected: number[] = []
    for (let round = 0; round < rounds; round++) {
      expected.push(await cpuTimeOf(() => reject(reference, rejection)))
      spent.push(await cpuTimeOf(() => reject(hash, rejection)))
    }
    rows.push(ratio(`CPU time of a rejection, ${what}, ${title}`, spent, expected))
  }
  return rows
}

async function storedHashes(): Promise<Stored> {
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

async function reject(hash: string | undefined, rejection: RejectionCost): Promise<void> {
  const verdict = await verifyPassword('wrong', hash, undefined, rejection.argon2)
  await equalizeCost('wrong', hash, verdict, rejection)
}

/** Returns microseconds. */
async function cpuTimeOf(action: () => Promise<void>): Promise<number> {
  const before = process.cpuUsage()
  await action()
  const { user, system } = process.cpuUsage(before)
  return user + system
}
