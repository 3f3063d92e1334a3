import { type Argon2Verifier, bunArgon2 } from '../../src/domain/passwords/argon2.ts'
import { equalizeWork } from '../../src/domain/passwords/decoy.ts'
import { hashPassword } from '../../src/domain/passwords/hashPassword.ts'
import { loadNativeArgon2 } from '../../src/domain/passwords/nativeArgon2.ts'
import { createRejectionWork } from '../../src/domain/passwords/rejectionWork.ts'
import { verifyPassword } from '../../src/domain/passwords/verifyPassword.ts'
import { rounds } from '../options.ts'
import { type Row, ratio } from '../report/row.ts'

const today = { memoryKib: 65_536, timeCost: 2 }

const reportFailure = (error: unknown) => {
  throw error
}

/**
 * Measures the CPU time of a rejection by stored hash, relative to one of the costliest hash
 * stored, with each verifier. Unlike elapsed time, it hardly depends on what else the machine does.
 */
export async function measureEqualization(): Promise<Row[]> {
  const rows: Row[] = []
  const newHash = await hashPassword('right', today)
  const bcrypts = await Promise.all([10, 12].map((cost) => Bun.password.hash('right', { algorithm: 'bcrypt', cost })))
  const stored = await storedHashes()
  for (const argon2 of [loadNativeArgon2(), bunArgon2]) {
    for (const [what, hash] of stored)
      rows.push(await compare(`${what}, ${argon2.name} argon2, relative to a new hash`, hash, newHash, argon2, [hash]))
    for (const bcrypt of bcrypts) {
      for (const [what, hash] of [
        ['unknown user', undefined],
        ['new hash', newHash],
        ['bcrypt 10', bcrypts[0]],
      ] as const) {
        const title = `${what}, ${argon2.name} argon2, relative to bcrypt ${bcrypt.slice(4, 6)}`
        rows.push(await compare(title, hash, bcrypt, argon2, bcrypts.slice(0, bcrypts.indexOf(bcrypt) + 1)))
      }
    }
  }
  return rows
}

async function compare(
  title: string,
  hash: string | undefined,
  reference: string,
  argon2: Argon2Verifier,
  stored: readonly (string | undefined)[],
): Promise<Row> {
  const rejectionWork = createRejectionWork(() => argon2, today)
  for (const other of stored) rejectionWork.notice(other)
  const reject = async (rejected: string | undefined) => {
    const { required, free } = rejectionWork
    const verdict = await verifyPassword('wrong', rejected, undefined, argon2, free)
    await equalizeWork(rejected, verdict, required(), argon2, { free, reportFailure })
  }
  const spent: number[] = []
  const expected: number[] = []
  for (let round = 0; round < rounds; round++) {
    expected.push(await cpuTimeOf(() => reject(reference)))
    spent.push(await cpuTimeOf(() => reject(hash)))
  }
  return ratio(`CPU time of a rejection, ${title}`, spent, expected)
}

type Stored = readonly (readonly [string, string | undefined])[]

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

/** Returns microseconds. */
async function cpuTimeOf(action: () => Promise<void>): Promise<number> {
  const before = process.cpuUsage()
  await action()
  const { user, system } = process.cpuUsage(before)
  return user + system
}
