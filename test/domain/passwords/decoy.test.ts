import { describe, expect, spyOn, test } from 'bun:test'
import type { HashWork } from '../../../src/domain/hashes/hashWork.ts'
import { type Argon2Verifier, bunArgon2, newHashWork } from '../../../src/domain/passwords/argon2.ts'
import { equalizeWork } from '../../../src/domain/passwords/decoy.ts'
import { loadNativeArgon2 } from '../../../src/domain/passwords/nativeArgon2.ts'
import { readHash } from '../../../src/domain/passwords/readHash.ts'
import { createRejectionWork } from '../../../src/domain/passwords/rejectionWork.ts'
import { verifyPassword } from '../../../src/domain/passwords/verifyPassword.ts'

const today = { memoryKib: 1024, timeCost: 2 }
const argon2 = (memoryKib: number, timeCost: number, parallelism = 1) =>
  `$argon2id$v=19$m=${memoryKib},t=${timeCost},p=${parallelism}$${'A'.repeat(22)}$${'A'.repeat(43)}`
const bcrypt = (cost: string) => `$2b$${cost}$${'a'.repeat(53)}`
const pbkdf2 = (rounds: number) => `pbkdf2_sha256$${rounds}$salt$${'A'.repeat(43)}=`
const scrypt = (work: number, parallelism = 1) => `scrypt$${work}$salt$8$${parallelism}$${'A'.repeat(86)}==`

const stored = [
  ['a new hash', argon2(1024, 2)],
  ['a hash with one pass', argon2(1024, 1)],
  ['a hash with less memory', argon2(512, 2)],
  ['a hash with several lanes', argon2(1024, 3, 4)],
  ['a low-cost bcrypt hash', bcrypt('04')],
  ['a bcrypt hash', bcrypt('07')],
  ["Django's bcrypt over SHA-256", `bcrypt_sha256$$2b$06$${'a'.repeat(53)}`],
  ["Django's PBKDF2", pbkdf2(1000)],
  ["Django's PBKDF2 of a later version", pbkdf2(1500)],
  ['scrypt with several lanes', scrypt(1024, 3)],
] as const
const decoys = {
  free() {},
  reportFailure(error: unknown) {
    throw error
  },
}
const notVerified = [
  ['an unknown user', undefined],
  ['a malformed hash', 'changeme'],
  ['a hash that argon2 rejects', '$argon2id$v=19$m=8,t=1,p=4$c2FsdHNhbHQ$c2FsdHNhbHQ'],
  ['a hash over the cost limit', '$argon2id$v=19$m=4194305,t=1,p=1$c2FsdHNhbHQ$c2FsdHNhbHQ'],
] as const

describe.each([
  ['Bun.password', bunArgon2],
  ['the native verifier', loadNativeArgon2()],
])('with %s', (_name, verifier) => {
  test.each([...stored, ...notVerified])('a rejection does the same work for %s', async (_what, hash) => {
    const { required, done, totals } = recorded(verifier)
    const freed: HashWork[] = []
    const free = (work: HashWork) => void freed.push(work)
    const verdict = await verifyPassword('wrong', hash, undefined, verifier, free)
    const verified = hash === undefined || verdict === 'unusable' ? undefined : readHash(hash, verifier)?.work
    if (verified) done(verified.kind, verified.amount)
    await equalizeWork(hash, verdict, required, verifier, { ...decoys, free })
    const kept = (works: readonly HashWork[]) => works.flatMap(({ kind, isKept }) => (isKept ? [kind] : [])).toSorted()
    expect(kept(freed)).toEqual(kept(required))
    expect(totals).toEqual(new Map(required.map(({ kind, amount }) => [kind, amount])))
  })

  test('a rejection takes the highest amount of each kind', () => {
    const { required } = recorded(verifier)
    const amounts = Object.fromEntries(required.map(({ kind, amount }) => [kind, amount]))
    expect(amounts).toEqual({
      bcrypt: 128,
      [`argon2id by ${verifier.name} with m=1024, t=1, p=1`]: 1,
      [`argon2id by ${verifier.name} with m=512, t=2, p=1`]: 1,
      [`argon2id by ${verifier.name} with m=1024, t=3, p=4`]: 1,
      'PBKDF2 with sha256': 1500,
      'scrypt with N=1024, r=8, p=3': 1,
      [`argon2id by ${verifier.name} with m=1024, t=2, p=1`]: 1,
    })
  })

  test('without other kinds, a rejection computes one decoy for an unknown user and none for a new hash', async () => {
    const verified: string[] = []
    const recording: Argon2Verifier = {
      ...verifier,
      verify: async (password, hash) => {
        verified.push(hash)
        return verifier.verify(password, hash)
      },
    }
    const required = [newHashWork(today, recording)]
    await equalizeWork(argon2(1024, 2), 'wrong', required, recording, decoys)
    expect(verified).toEqual([])
    await equalizeWork(undefined, 'unusable', required, recording, decoys)
    expect(verified.map((hash) => hash.split('$').slice(0, 4).join('$'))).toEqual(['$argon2id$v=19$m=1024,t=2,p=1'])
  })

  /** The work of rejections with the `stored` hashes, which also adds up what is computed. */
  function recorded(argon2: Argon2Verifier) {
    const rejectionWork = createRejectionWork(() => argon2, today)
    for (const [, hash] of stored) rejectionWork.notice(hash)
    const totals = new Map<string, number>()
    const done = (kind: string, amount: number) => totals.set(kind, (totals.get(kind) ?? 0) + amount)
    const required = rejectionWork.required().map((work): HashWork => {
      const spend = async (amount: number) => {
        await work.spend(amount)
        done(work.kind, amount)
      }
      return { ...work, spend }
    })
    return { required, done, totals }
  }
})

test('bcrypt: splits rounds that are not a power of two into several hashes', async () => {
  const verify = spyOn(Bun.password, 'verify')
  try {
    await readHash(bcrypt('07'))?.work.spend(2 ** 7 - 2 ** 4)
    expect(verify.mock.calls.map(([, hash]) => String(hash).slice(0, 7))).toEqual(['$2b$04$', '$2b$05$', '$2b$06$'])
    expect(await Promise.all(verify.mock.results.map(({ value }) => value))).toEqual([false, false, false])
  } finally {
    verify.mockRestore()
  }
})
